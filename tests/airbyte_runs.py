"""Run the Airbyte connector, and read what it writes."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from airbyte_protocol_dataclasses import models as protocol

from tap_msghistory.airbyte import commands
from tap_msghistory.airbyte.messages import MessageWriter
from tests.support import Message

COMMAND = Path(sys.executable).with_name("source-msghistory")
_CONTENTS = {"CONNECTION_STATUS": "connectionStatus"}


def parse(line: bytes | str) -> Message:
    """Return a message. Raises an error if the protocol's types do not describe it."""
    message: Message = json.loads(line)
    msgspec.convert(message, protocol.AirbyteMessage)
    assert message.keys() == {"type", _CONTENTS.get(message["type"], message["type"].lower())}
    return message


@dataclass
class Output:
    """The messages of a run, and its exit code."""

    messages: list[Message]
    code: int = 0

    @property
    def contents(self) -> list[Message]:
        """The messages without their type."""
        return [content for message in self.messages for name, content in message.items() if name != "type"]

    def of_type(self, type_: str) -> list[Message]:
        name = _CONTENTS.get(type_, type_.lower())
        return [message[name] for message in self.messages if message["type"] == type_]

    def records(self, stream: str) -> list[Message]:
        return [record["data"] for record in self.of_type("RECORD") if record["stream"] == stream]

    @property
    def errors(self) -> list[Message]:
        return [trace["error"] for trace in self.of_type("TRACE") if trace["type"] == "ERROR"]

    def statuses(self, stream: str) -> list[str]:
        return [
            trace["stream_status"]["status"]
            for trace in self.of_type("TRACE")
            if trace["type"] == "STREAM_STATUS"
            and trace["stream_status"]["stream_descriptor"]["name"] == stream
        ]

    @property
    def state(self) -> list[Message]:
        """The last state of each stream, as a client passes it to the next run."""
        latest = {
            state["stream"]["stream_descriptor"]["name"]: {"type": "STREAM", "stream": state["stream"]}
            for state in self.of_type("STATE")
        }
        return [*latest.values()]

    def stream_state(self, stream: str) -> Message:
        """Return the last state of a stream."""
        (state,) = [
            state["stream"]["stream_state"]
            for state in self.state
            if state["stream"]["stream_descriptor"]["name"] == stream
        ]
        content: Message = state
        return content


def run_command(
    command: str, directory: Path, settings: Any = None, *, catalog: Any = None, state: Any = None
) -> Output:
    """Run a command in this process. `settings`, `catalog` and `state` are JSON or the text of a file."""
    arguments = Namespace(
        command=command,
        config=write(directory / "config.json", settings),
        catalog=write(directory / "catalog.json", catalog),
        state=None if state is None else write(directory / "state.json", state),
    )
    stdout = io.TextIOWrapper(io.BytesIO(), write_through=True)
    with contextlib.redirect_stdout(stdout), restored_logger():
        writer = MessageWriter()
        writer.receive_logs(debug=True)
        code = commands.run(arguments, writer)
    return Output([*map(parse, stdout.buffer.getvalue().splitlines())], code)


def discover(directory: Path, settings: Any) -> dict[str, Message]:
    """Return the discovered streams by name."""
    output = run_command("discover", directory, settings)
    assert output.code == 0
    (catalog,) = output.of_type("CATALOG")
    return {stream["name"]: stream for stream in catalog["streams"]}


def configure(
    streams: dict[str, Message], *names: str, sync_mode: str = "incremental", columns: Any = None
) -> Message:
    """Return a configured catalog of all streams, or of those with these names."""
    configured = []
    for name in names or streams:
        stream = json.loads(json.dumps(streams[name]))
        if columns is not None:
            properties = stream["json_schema"]["properties"]
            stream["json_schema"]["properties"] = {column: properties[column] for column in columns}
        configured.append({"stream": stream, "sync_mode": sync_mode, "destination_sync_mode": "append_dedup"})
    return {"streams": configured}


def read(
    directory: Path,
    settings: Any,
    *names: str,
    state: Any = None,
    sync_mode: str = "incremental",
    columns: Any = None,
) -> Output:
    """Discover, configure and read."""
    catalog = configure(discover(directory, settings), *names, sync_mode=sync_mode, columns=columns)
    return run_command("read", directory, settings, catalog=catalog, state=state)


def write(path: Path, content: Any) -> Path:
    """Write JSON, or text as it is."""
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@contextlib.contextmanager
def restored_logger() -> Iterator[None]:
    """Restore the tap's logger after the block."""
    logger = logging.getLogger("tap-msghistory")
    level, handlers = logger.level, [*logger.handlers]
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.handlers = handlers
