"""Running the tap against a sandbox, and saying what should arrive."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec

from tap_msghistory.errors import TapError
from tap_msghistory.sandbox import gateway
from tap_msghistory.sandbox.options import GatewayOptions
from tap_msghistory.sandbox.server import Sandbox
from tap_msghistory.tap import TapMessageHistory

#: The last message of generated histories. Far from now, so that nothing depends on when tests run.
END = datetime(2024, 11, 3, 12, tzinfo=timezone.utc)
END_MS = int(END.timestamp() * 1000)

CHANNELS = ("SMS", "RCS", "WHATSAPP")
GATEWAY_STREAMS = {channel: f"partner_gateway_history_{channel.lower()}" for channel in CHANNELS}
STREAMS = ("edna_history", *GATEWAY_STREAMS.values())
REJECTED = "rejected_messages"
EXPORT = "partner_gateway_history_export"
ALL_STREAMS = (*STREAMS, REJECTED, EXPORT)

Message = dict[str, Any]


@dataclass
class Output:
    """What a run has written to stdout."""

    messages: list[Message]
    state: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        states = [it["value"] for it in self.messages if it["type"] == "STATE"]
        self.state = states[-1] if states else {}

    def records(self, stream: str) -> list[Message]:
        return [it["record"] for it in self.messages if it["type"] == "RECORD" and it["stream"] == stream]

    def bookmark(self, stream: str) -> dict[str, Any]:
        bookmark: dict[str, Any] = self.state["bookmarks"][stream]
        return bookmark


def config(sandbox: Sandbox, **settings: Any) -> dict[str, Any]:
    """Settings to read all of `sandbox`, quickly; `settings` go before."""
    return {
        "edna_api_key": sandbox.edna_options.key,
        "edna_base_url": sandbox.edna_base_url,
        "partner_gateway_api_key": sandbox.gateway_options.key,
        "partner_gateway_base_url": sandbox.gateway_base_url,
        "start_date": iso(END - timedelta(days=90)),
        "max_retry_seconds": 30,
        "end_date": iso(END),
        **settings,
    }


def sync(
    settings: dict[str, Any],
    *,
    state: dict[str, Any] | None = None,
    catalog: dict[str, Any] | None = None,
    catch: Callable[[TapError], None] | None = None,
    tap_class: type[TapMessageHistory] = TapMessageHistory,
) -> Output:
    """Run the tap in this process; `catch` gets the error with which it ends."""
    stdout = io.TextIOWrapper(io.BytesIO(), write_through=True)
    with contextlib.redirect_stdout(stdout):
        tap = tap_class(
            config=copy.deepcopy(settings), state=copy.deepcopy(state), catalog=copy.deepcopy(catalog)
        )
        try:
            tap.sync_all()
        except TapError as error:
            if not catch:
                raise
            catch(error)
    lines = stdout.buffer.getvalue().splitlines()
    return Output([msgspec.json.decode(line) for line in lines])


def truth(sandbox: Sandbox, stream: str) -> list[Message]:
    """The records that a warehouse should hold: all that the sandbox shows now, as the README says."""
    if stream == "edna_history":
        return [_expected(row, "edna_message") for row in sandbox.edna_rows()]
    channel, now_ms = stream.rpartition("_")[2].upper(), sandbox.clock.now_ms()
    # As the reference has it, whatever shape the sandbox serves.
    rows = (gateway.row(it, now_ms, GatewayOptions()) for it in sandbox.gateway[channel].visible(now_ms))
    return [_expected(row, "partner_gateway_message") for row in rows]


def sent_at(stream: str) -> str:
    """The property that holds the send time."""
    return "sentOrReceivedAt" if stream == "edna_history" else "sendDate"


def in_send_order(stream: str, records: list[Message]) -> list[Message]:
    return sorted(records, key=lambda it: (it[sent_at(stream)], it["messageId"]))


def iso(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _expected(row: Message, schema: str) -> Message:
    properties = json.loads(Path("schemas", f"{schema}.json").read_text())["properties"]
    times = {name for name, it in properties.items() if it.get("format") == "date-time"}
    record: Message = dict.fromkeys(properties) | row
    return record | {name: iso(datetime.fromisoformat(record[name])) for name in times if record[name]}
