"""Singer messages to stdout: whole lines, whatever ends the tap."""

from __future__ import annotations

import os
import select
import sys

from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.singerlib import SchemaMessage
from singer_sdk.singerlib.encoding.simple import Message

from tap_msghistory.errors import FatalError, StoppedBySignal
from tap_msghistory.schemas import portable


class OutputError(FatalError):
    """Stdout takes no more: its reader is gone, or the disk is full."""


class Writer(MsgSpecWriter):
    """Writes a line a message, and says in one line when it cannot."""

    def __init__(self) -> None:
        """Begin outside of any line."""
        super().__init__()
        self._is_writing = False
        self._stopped: StoppedBySignal | None = None

    def write_message(self, message: Message) -> None:
        """Write a line to stdout. Raises `OutputError`."""
        if isinstance(message, SchemaMessage):
            message.schema = portable(message.schema)
        self.write_lines(self.format_message(message))

    def write_lines(self, lines: bytes | bytearray) -> None:
        """Write whole lines to stdout. Raises `OutputError`."""
        if sys.stdout is None:
            raise OutputError("Stdout is closed: there is nowhere to write to")
        self._is_writing = True
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[_write(rest) :]
            while not _flush():
                pass
        except BrokenPipeError as error:
            raise _reader_is_gone() from error
        except OSError as error:
            _discard_stdout()
            raise OutputError(f"Stdout takes no more ({error.strerror}): the tap stops") from error
        finally:
            self._is_writing = False
        if self._stopped:
            raise self._stopped

    def stop(self, reason: StoppedBySignal) -> None:
        """Raise `reason`: at once, or where a line is being written, behind it."""
        if not self._is_writing or self._stopped:
            raise reason
        self._stopped = reason

    def check(self) -> None:
        """Raise `OutputError` if the reader is gone, also while there is nothing to write."""
        if hasattr(select, "poll"):
            stdout = select.poll()
            stdout.register(sys.__stdout__ or 1, 0)
            if any(event & (select.POLLERR | select.POLLHUP) for _, event in stdout.poll(0)):
                raise _reader_is_gone()


def _write(data: memoryview) -> int:
    """Return how many bytes stdout has taken; with PYTHONUNBUFFERED, a signal makes it take fewer."""
    try:
        taken: int | None = sys.stdout.buffer.write(data)
    except BlockingIOError as error:
        taken = error.characters_written
    if not taken:
        _wait_until_writable()
    return taken or 0


def _flush() -> bool:
    try:
        sys.stdout.buffer.flush()
    except BlockingIOError:
        _wait_until_writable()
        return False
    return True


def _wait_until_writable() -> None:
    """Wait for the reader of a stdout that another process has made non-blocking."""
    select.select([], [sys.stdout], [])


def _reader_is_gone() -> OutputError:
    _discard_stdout()
    return OutputError("Stdout was closed by its reader: the tap stops")


def _discard_stdout() -> None:
    """Keep the interpreter from failing once more when it flushes stdout at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
