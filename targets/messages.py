"""The tap's output of a first and an incremental run, and the rows expected after both."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from msghistory_sandbox.clock import Clock
from msghistory_sandbox.server import Sandbox

Row = dict[str, Any]
Key = tuple[Any, ...]

END = datetime(2024, 11, 3, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)
STREAMS = {
    "edna_history": "sentOrReceivedAt",
    "partner_gateway_history_sms": "sendDate",
    "sync_windows": "windowFrom",
}
"""The streams to compare, each with a time column."""
OBJECTS = ("extraFields", "message")


@dataclass(frozen=True, slots=True)
class Run:
    """Output of one run of the tap."""

    lines: bytes

    @property
    def messages(self) -> list[dict[str, Any]]:
        """All Singer messages."""
        return [json.loads(line) for line in self.lines.splitlines()]

    @property
    def state(self) -> Any:
        """The value of the last STATE message."""
        return [message["value"] for message in self.messages if message["type"] == "STATE"][-1]

    def records(self, stream: str) -> list[Row]:
        """Return the records of a stream in output order."""
        return [
            message["record"]
            for message in self.messages
            if message["type"] == "RECORD" and message["stream"] == stream
        ]


@dataclass(frozen=True, slots=True)
class Runs:
    """A first and an incremental run, one day apart."""

    first: Run
    second: Run

    @property
    def keys(self) -> dict[str, list[str]]:
        """Key properties by stream."""
        schemas = [message for message in self.first.messages if message["type"] == "SCHEMA"]
        return {schema["stream"]: schema["key_properties"] for schema in schemas}

    def emitted(self, stream: str) -> list[Row]:
        """Return all records: the rows expected in a target that only appends."""
        return [*self.first.records(stream), *self.second.records(stream)]

    def latest(self, stream: str) -> list[Row]:
        """Return the last record of each key: the rows expected in a target that upserts."""
        key = self.keys[stream]
        return [*{tuple(record[name] for name in key): record for record in self.emitted(stream)}.values()]


def read_sandbox(directory: Path, *, messages: int, objects_as_json: bool) -> Runs:
    """Run the tap twice with a sandbox whose messages have unknown fields."""
    clock = Clock(_epoch_ms(END - DAY), frozen=True)
    sandbox = Sandbox.generate(
        messages=messages, days=40, end_ms=_epoch_ms(END), clock=clock, unknown_rate=0.05
    )
    state = directory / "state.json"
    runs = []
    with sandbox.serve():
        for end in (END - DAY, END):
            clock.set(_epoch_ms(end))
            config = {
                "start_date": (END - 41 * DAY).isoformat(),
                "end_date": end.isoformat(),
                "edna_api_key": sandbox.edna_options.key,
                "edna_base_url": sandbox.edna_base_url,
                "partner_gateway_api_key": sandbox.gateway_options.key,
                "partner_gateway_base_url": sandbox.gateway_base_url,
                "objects_as_json": objects_as_json,
            }
            (directory / "config.json").write_text(json.dumps(config))
            tap = [sys.executable, "-m", "tap_msghistory", "--config", str(directory / "config.json")]
            if state.exists():
                tap += ["--state", str(state)]
            run = Run(subprocess.run(tap, check=True, capture_output=True).stdout)
            state.write_text(json.dumps(run.state))
            runs.append(run)
    state.unlink()
    return Runs(*runs)


def _epoch_ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
