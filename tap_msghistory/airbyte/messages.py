"""Airbyte's messages, and their output: one line of JSON each, also for log records."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

import msgspec
from airbyte_protocol_dataclasses import models as protocol

from tap_msghistory.errors import StoppedBySignal, TapError
from tap_msghistory.output import LineWriter

_LEVELS = {"WARNING": protocol.Level.WARN, "CRITICAL": protocol.Level.FATAL, **protocol.Level.__members__}


def now_ms() -> int:
    """Return the current time as Airbyte writes it, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def state_message(stream: str, state: Mapping[str, Any], record_count: int) -> protocol.AirbyteMessage:
    """Return the state of a stream after `record_count` records since its previous state."""
    # The package declares the state as an object without members; in the protocol, any are allowed.
    blob = cast("protocol.AirbyteStateBlob", state)
    content = protocol.AirbyteStateMessage(
        protocol.AirbyteStateType.STREAM,
        protocol.AirbyteStreamState(protocol.StreamDescriptor(stream), blob),
        sourceStats=protocol.AirbyteStateStats(float(record_count)),
    )
    return protocol.AirbyteMessage(protocol.Type.STATE, state=content)


def status_message(stream: str, status: protocol.AirbyteStreamStatus) -> protocol.AirbyteMessage:
    """Return a change of a stream's status."""
    content = protocol.AirbyteStreamStatusTraceMessage(protocol.StreamDescriptor(stream), status)
    return _trace(protocol.TraceType.STREAM_STATUS, stream_status=content)


def error_message(text: str, error: BaseException, stream: str | None = None) -> protocol.AirbyteMessage:
    """Return an error that ends a stream, or the run."""
    content = protocol.AirbyteErrorTraceMessage(
        text,
        failure_type=_failure_type(error),
        stream_descriptor=protocol.StreamDescriptor(stream) if stream else None,
    )
    return _trace(protocol.TraceType.ERROR, error=content)


def _failure_type(error: BaseException) -> protocol.FailureType:
    """Return whether the user, another attempt or a change of the software can fix an error."""
    if isinstance(error, TapError) and not error.is_temporary:
        return protocol.FailureType.config_error
    is_expected = isinstance(error, (TapError, OSError, StoppedBySignal))
    return protocol.FailureType.transient_error if is_expected else protocol.FailureType.system_error


def _trace(type_: protocol.TraceType, **content: Any) -> protocol.AirbyteMessage:
    trace = protocol.AirbyteTraceMessage(type_, now_ms(), **content)
    return protocol.AirbyteMessage(protocol.Type.TRACE, trace=trace)


def _encode(message: protocol.AirbyteMessage) -> bytes:
    """Return a message as one line. Fields without a value are omitted: the protocol does not allow null."""
    return msgspec.json.encode(asdict(message, dict_factory=_without_none)) + b"\n"


def _without_none(members: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: value for name, value in members if value is not None}


class MessageWriter(LineWriter, logging.Handler):
    """Writes messages to stdout; as a handler, also log records."""

    def write(self, message: protocol.AirbyteMessage) -> None:
        """Write a message. Raises `OutputError`."""
        self.write_lines(_encode(message))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a log record. Raises `OutputError`."""
        level = _LEVELS.get(record.levelname, protocol.Level.INFO)
        content = protocol.AirbyteLogMessage(level, record.getMessage())
        self.enqueue(_encode(protocol.AirbyteMessage(protocol.Type.LOG, log=content)))

    def receive_logs(self, *, debug: bool) -> None:
        """Write the log records of the tap from now on."""
        logger = logging.getLogger("tap-msghistory")
        logger.setLevel(logging.DEBUG if debug else logging.INFO)
        logger.addHandler(self)
        # The log records of libraries may quote messages.
        logging.getLogger().addHandler(logging.NullHandler())
