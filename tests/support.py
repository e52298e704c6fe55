"""Run the tap against a sandbox, and compute the records to expect."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
from urllib3 import HTTPResponse

from msghistory_sandbox import gateway
from msghistory_sandbox.options import GatewayOptions
from msghistory_sandbox.server import Sandbox
from tap_msghistory.config.account import Account
from tap_msghistory.errors import TapError
from tap_msghistory.tap import TapMessageHistory

ROOT = Path(__file__).parents[1]

#: The time of the last generated message. Fixed, so that no result depends on when the tests run.
END = datetime(2024, 11, 3, 12, tzinfo=timezone.utc)
END_MS = int(END.timestamp() * 1000)

#: The length of the histories of the fixture `years`.
YEARS = 4

CHANNELS = ("SMS", "RCS", "WHATSAPP")
GATEWAY_STREAMS = {channel: f"partner_gateway_history_{channel.lower()}" for channel in CHANNELS}
STREAMS = ("edna_history", *GATEWAY_STREAMS.values())
REJECTED = "rejected_messages"
LEDGER = "sync_windows"
EXPORT = "partner_gateway_history_export"
ALL_STREAMS = (*STREAMS, REJECTED, LEDGER, EXPORT)

Message = dict[str, Any]


class EagerTap(TapMessageHistory):
    """The tap without jitter: it waits between attempts only for as long as a server requests."""

    @cached_property
    def account(self) -> Account:
        return Account(self.config, jitter=lambda _: 0.0)


@dataclass
class Output:
    """The messages that a run has written to stdout, and its last state."""

    messages: list[Message]
    state: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        states = [message["value"] for message in self.messages if message["type"] == "STATE"]
        self.state = states[-1] if states else {}

    def records(self, stream: str) -> list[Message]:
        return [
            message["record"]
            for message in self.messages
            if message["type"] == "RECORD" and message["stream"] == stream
        ]

    def bookmark(self, stream: str) -> dict[str, Any]:
        bookmark: dict[str, Any] = self.state["bookmarks"][stream]
        return bookmark


def config(sandbox: Sandbox, **settings: Any) -> dict[str, Any]:
    """Return settings that read everything in `sandbox`; `settings` take precedence."""
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


def from_the_start(sandbox: Sandbox, **settings: Any) -> dict[str, Any]:
    """Return settings that read everything in the sandbox of the fixture `years`."""
    return config(sandbox, start_date=iso(END - timedelta(days=365 * YEARS)), **settings)


def sync(
    settings: dict[str, Any],
    *,
    state: dict[str, Any] | None = None,
    catalog: dict[str, Any] | None = None,
    catch: Callable[[TapError], None] | None = None,
    tap_class: type[TapMessageHistory] = EagerTap,
) -> Output:
    """Run the tap in this process; `catch` is called with the error that ends the run."""
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


def selecting(*names: str) -> dict[str, Any]:
    """Return a catalog that selects only these streams."""
    catalog: dict[str, Any] = json.loads(_catalog())
    for stream in catalog["streams"]:
        root = next(entry for entry in stream["metadata"] if not entry["breadcrumb"])
        root["metadata"]["selected"] = stream["tap_stream_id"] in names
    return catalog


@cache
def _catalog() -> str:
    config = {"partner_gateway_export": True}
    return TapMessageHistory(config=config, validate_config=False).catalog_json_text


def without_times(messages: list[Message]) -> list[Message]:
    """Return the messages without the properties that differ between two runs."""
    volatile = {"runId", "seconds", "readAt"}
    return [
        {
            name: {key: field for key, field in value.items() if key not in volatile}
            if name == "record"
            else value
            for name, value in message.items()
            if name != "time_extracted"
        }
        for message in messages
    ]


def check_ledger(output: Output) -> None:
    """Compare the ledger of a successful run with the messages that the run has emitted."""
    rows = output.records(LEDGER)
    streams = {row["stream"] for row in rows}
    assert len({row["runId"] for row in rows}) <= 1
    assert {message["stream"] for message in output.messages if message["type"] == "RECORD"} <= {
        *streams,
        REJECTED,
        LEDGER,
    }
    for stream in streams:
        windows = [row for row in rows if row["stream"] == stream]
        assert sum(window["messages"] for window in windows) == len(output.records(stream))
        assert sum(window["rejected"] for window in windows) == sum(
            message["stream"] == stream for message in output.records(REJECTED)
        )
        assert all(window["requests"] >= window["pages"] + window["retries"] for window in windows)
        for earlier, later in pairwise(windows):
            joins = earlier["windowTo"] == later["windowFrom"]
            assert joins or (earlier["windowTo"] < later["windowFrom"] and earlier["reason"] == "revisit")
    _check_order(output.messages)


def _check_order(messages: list[Message]) -> None:
    """Check that each window's ledger row precedes the state that covers it."""
    written: dict[str, str] = {}
    reached: dict[str, str] = {}
    for message in messages:
        if message["type"] == "RECORD" and message["stream"] == LEDGER:
            written[message["record"]["stream"]] = message["record"]["windowTo"]
        elif message["type"] == "STATE":
            for stream, bookmark in message["value"]["bookmarks"].items():
                read_to = bookmark.get("replication_key_value")
                if stream in reached and read_to != reached[stream]:
                    assert read_to == written[stream]
                reached[stream] = read_to


def truth(sandbox: Sandbox, stream: str) -> list[Message]:
    """Return the records that a warehouse should hold: all that the sandbox returns now, normalized."""
    if stream == "edna_history":
        return [_expected(row, "edna_message") for row in sandbox.edna_rows()]
    channel, now_ms = stream.rpartition("_")[2].upper(), sandbox.clock.now_ms()
    # In the row format of the vendor's reference, whichever the sandbox uses.
    rows = (
        gateway.row(message, now_ms, GatewayOptions()) for message in sandbox.gateway[channel].visible(now_ms)
    )
    return [_expected(row, "partner_gateway_message") for row in rows]


def everything(sandbox: Sandbox) -> dict[tuple[str, Any], Message]:
    """Return the records of all streams that a warehouse should hold, by stream and identifier."""
    return {(stream, record["messageId"]): record for stream in STREAMS for record in truth(sandbox, stream)}


def replication_key(stream: str) -> str:
    """Return the name of the property with the send time."""
    return "sentOrReceivedAt" if stream == "edna_history" else "sendDate"


def in_send_order(stream: str, records: list[Message]) -> list[Message]:
    return sorted(records, key=lambda record: (record[replication_key(stream)], record["messageId"]))


def iso(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _expected(row: Message, schema: str) -> Message:
    properties = json.loads((ROOT / "schemas" / f"{schema}.json").read_text())["properties"]
    times = {name for name, declared in properties.items() if declared.get("format") == "date-time"}
    fitting = {name: value for name, value in row.items() if _fits(value, properties.get(name))}
    record: Message = dict.fromkeys(properties) | fitting
    record["extraFields"] = {name: value for name, value in row.items() if name not in fitting} or None
    return record | {name: iso(datetime.fromisoformat(record[name])) for name in times if record[name]}


def _fits(value: Any, declared: dict[str, Any] | None) -> bool:
    names = {str: ("string",), int: ("integer", "number"), float: ("number",), type(None): ("null",)}
    return declared is not None and any(name in declared["type"] for name in names.get(type(value), ()))


def response(body=b"", headers=None, status=200):
    """Return a response as the client receives it."""
    return HTTPResponse(io.BytesIO(body), headers or {}, status)
