"""Airbyte's messages, and their output: one line of JSON each, also for log records."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, cast

import msgspec
from airbyte_protocol_dataclasses import models as protocol

from tap_msghistory.output import LineWriter

_LEVELS = {"WARNING": protocol.Level.WARN, "CRITICAL": protocol.Level.FATAL, **protocol.Level.__members__}


def now_ms() -> int:
    """Return the current time as Airbyte writes it, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def encode(message: protocol.AirbyteMessage) -> bytes:
    """Return a message as one line. Fields without a value are omitted: the protocol does not allow null."""
    return msgspec.json.encode(_without_none(message)) + b"\n"


def _without_none(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    if not is_dataclass(value):
        return value
    return {
        field.name: _without_none(content)
        for field in fields(value)
        if (content := getattr(value, field.name)) is not None
    }


def state_message(stream: str, state: Mapping[str, Any], record_count: int) -> protocol.AirbyteMessage:
    """Return the state of a stream after `record_count` records since its previous state."""
    # The package declares the state as an object without members; in the protocol, any are allowed.
    blob = cast("protocol.AirbyteStateBlob", dict(state))
    return protocol.AirbyteMessage(
        protocol.Type.STATE,
        state=protocol.AirbyteStateMessage(
            protocol.AirbyteStateType.STREAM,
            protocol.AirbyteStreamState(protocol.StreamDescriptor(stream), blob),
            sourceStats=protocol.AirbyteStateStats(float(record_count)),
        ),
    )


def status_message(stream: str, status: protocol.AirbyteStreamStatus) -> protocol.AirbyteMessage:
    """Return a change of a stream's status."""
    content = protocol.AirbyteStreamStatusTraceMessage(protocol.StreamDescriptor(stream), status)
    return _trace(protocol.TraceType.STREAM_STATUS, stream_status=content)


def error_message(
    text: str, failure_type: protocol.FailureType, stream: str | None = None
) -> protocol.AirbyteMessage:
    """Return an error: of one stream, or of the run."""
    content = protocol.AirbyteErrorTraceMessage(
        text,
        failure_type=failure_type,
        stream_descriptor=protocol.StreamDescriptor(stream) if stream else None,
    )
    return _trace(protocol.TraceType.ERROR, error=content)


def _trace(type_: protocol.TraceType, **content: Any) -> protocol.AirbyteMessage:
    return protocol.AirbyteMessage(
        protocol.Type.TRACE, trace=protocol.AirbyteTraceMessage(type_, now_ms(), **content)
    )


class MessageWriter(LineWriter):
    """Writes messages to stdout.

    Only the thread that creates it writes. The log records of other threads wait until that thread writes or
    checks the output, so that no line is cut when the process ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()
        self._waiting: deque[bytes] = deque()

    def write(self, message: protocol.AirbyteMessage) -> None:
        """Write a message. Raises `OutputError`."""
        self.write_lines(encode(message))

    def write_lines(self, lines: bytes | bytearray) -> None:
        """Write whole lines after those that are waiting. Raises `OutputError`."""
        while self._waiting:
            super().write_lines(self._waiting.popleft())
        super().write_lines(lines)

    def check(self) -> None:
        """Write the waiting lines. Raises `OutputError` if the consumer has closed stdout."""
        super().check()
        self.write_lines(b"")

    def log(self, record: logging.LogRecord) -> None:
        """Write a log record, or have it written by the thread that may write."""
        level = _LEVELS.get(record.levelname, protocol.Level.INFO)
        content = protocol.AirbyteLogMessage(level, record.getMessage())
        line = encode(protocol.AirbyteMessage(protocol.Type.LOG, log=content))
        if threading.get_ident() == self._thread:
            self.write_lines(line)
        else:
            self._waiting.append(line)


class LogHandler(logging.Handler):
    """Writes log records as LOG messages."""

    def __init__(self, writer: MessageWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. Raises `OutputError`."""
        self._writer.log(record)
