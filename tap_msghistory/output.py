"""Writes complete lines to stdout, however the process ends."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from tap_msghistory.errors import FatalError, StoppedBySignal

#: Lines per write: enough to make calls cheap, few enough to handle a signal soon.
_LINES_PER_WRITE = 500

_encoder = msgspec.json.Encoder()


class OutputError(FatalError):
    """Standard output is no longer writable (closed by the consumer, or the disk is full)."""


def record_lines(head: bytes, records: Sequence[Any], tail: bytes) -> Iterator[bytes]:
    """Yield the lines of records, many at once: each is `head`, the record as JSON, and `tail`."""
    tail += b"\n"
    for start in range(0, len(records), _LINES_PER_WRITE):
        # A line break can only occur between records: within a record, JSON escapes it.
        lines = _encoder.encode_lines(records[start : start + _LINES_PER_WRITE]).replace(b"\n", tail + head)
        yield b"".join((head, memoryview(lines)[: -len(head)]))


class LineWriter:
    """Writes whole lines to stdout. Failures to write are `OutputError`s.

    Only the thread that created it may call `write_lines` and `check`, so that no line is truncated when the
    process ends. Other threads call `enqueue`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()
        self._waiting: deque[bytes] = deque()
        self._is_writing = False
        self._stopped: StoppedBySignal | None = None

    def enqueue(self, line: bytes) -> None:
        """Write a line from any thread: now, or before the next lines of the thread that may write."""
        if threading.get_ident() == self._thread:
            self.write_lines(line)
        else:
            self._waiting.append(line)

    def write_lines(self, lines: bytes | bytearray) -> None:
        """Write whole lines after those that are waiting. Raises `OutputError`."""
        self._write_waiting()
        self._write(lines)

    def _write_waiting(self) -> None:
        while self._waiting:
            self._write(self._waiting.popleft())

    def _write(self, lines: bytes | bytearray) -> None:
        if sys.stdout is None:
            raise OutputError("Stdout is closed, so the messages cannot be written")
        self._is_writing = True
        try:
            rest = memoryview(lines)
            while rest:
                rest = rest[_write(rest) :]
            while not _flush():
                pass
        except BrokenPipeError as error:
            raise _closed_by_consumer() from error
        except OSError as error:
            _discard_stdout()
            raise OutputError(f"Writing to stdout failed ({error.strerror}); the sync was stopped") from error
        finally:
            self._is_writing = False
        if self._stopped:
            reason, self._stopped = self._stopped, None
            raise reason

    def stop(self, reason: StoppedBySignal) -> None:
        """Raise `reason` immediately, or after the line that is being written."""
        if not self._is_writing or self._stopped:
            raise reason
        self._stopped = reason

    def check(self) -> None:
        """Write waiting lines. Raise `OutputError` if the consumer has closed stdout.

        The consumer can only be checked on platforms with `poll`.
        """
        if hasattr(select, "poll"):
            stdout = select.poll()
            stdout.register(sys.__stdout__ or 1, 0)
            if any(event & (select.POLLERR | select.POLLHUP) for _, event in stdout.poll(0)):
                raise _closed_by_consumer()
        self._write_waiting()


def _write(data: memoryview) -> int:
    """Write, and return the number of bytes written. With PYTHONUNBUFFERED, a signal can cut it short."""
    try:
        written: int | None = sys.stdout.buffer.write(data)
    except BlockingIOError as error:
        written = error.characters_written
    if not written:
        _wait_until_writable()
    return written or 0


def _flush() -> bool:
    try:
        sys.stdout.buffer.flush()
    except BlockingIOError:
        _wait_until_writable()
        return False
    return True


def _wait_until_writable() -> None:
    """Wait until stdout, which another process made non-blocking, accepts more."""
    select.select([], [sys.stdout], [])


def _closed_by_consumer() -> OutputError:
    _discard_stdout()
    return OutputError("Stdout was closed by its consumer; the sync was stopped")


def _discard_stdout() -> None:
    """Keep the interpreter from failing again when it flushes stdout at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
