"""Sorts any number of messages on disk with constant memory.

The temporary SQLite database is a file that only this user can read. It is unlinked when it is created, so
nothing remains of it, however the process ends.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from tap_msghistory.errors import TapError

_SET_UP = """
PRAGMA journal_mode = OFF;
PRAGMA temp_store = FILE;
CREATE TABLE messages (sent_at TEXT, id, rest TEXT, key BLOB, record BLOB);
CREATE TABLE rejected (message BLOB PRIMARY KEY, reason TEXT);
BEGIN;
"""
_DROP_OLDER_VERSIONS = """
DELETE FROM messages WHERE rowid NOT IN (SELECT max(rowid) FROM messages GROUP BY key, rest);
"""


class SpooledRecord(NamedTuple):
    """A record with its sort key and its identity."""

    sent_at: str
    id: Any  #: integer or text
    rest: str  #: the other properties of its identity
    key: bytes  #: the primary key
    record: bytes


Rejection = tuple[bytes, str]  # message, reason


class SpoolError(TapError):
    """The temporary database cannot be written or read."""


class Spool:
    """Stores messages in any order and returns them in send order. One thread at a time.

    All methods raise `SpoolError`.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        with _disk_errors():
            self._database.executescript(_SET_UP)

    def add(self, messages: Iterable[SpooledRecord]) -> None:
        """Store messages. If a message is stored several times, `finish` keeps the last version."""
        with _disk_errors():
            self._database.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", messages)

    def reject(self, rejections: Iterable[Rejection]) -> None:
        """Store rejected messages, each once."""
        with _disk_errors():
            self._database.executemany("INSERT OR REPLACE INTO rejected VALUES (?, ?)", rejections)

    def finish(self) -> None:
        """Drop older versions; no messages can be added afterwards."""
        with _disk_errors():
            self._database.execute(_DROP_OLDER_VERSIONS)

    def messages(self) -> Iterator[SpooledRecord]:
        """Yield the messages by send time, then identifier."""
        with _disk_errors():
            yield from map(
                SpooledRecord._make,
                self._database.execute("SELECT * FROM messages ORDER BY sent_at, id, rest"),
            )

    def shared_keys(self) -> set[bytes]:
        """Return the keys that several messages have."""
        with _disk_errors():
            rows = self._database.execute("SELECT key FROM messages GROUP BY key HAVING count(*) > 1")
            return {key for (key,) in rows}

    def send_times(self) -> list[str]:
        """Return all send times in order."""
        with _disk_errors():
            rows = self._database.execute("SELECT sent_at FROM messages ORDER BY sent_at")
            return [sent_at for (sent_at,) in rows]

    def first_and_last(self) -> tuple[str, str] | None:
        """Return the first and the last send time; None if there are no messages."""
        with _disk_errors():
            first, last = self._database.execute("SELECT min(sent_at), max(sent_at) FROM messages").fetchone()
        return None if first is None else (first, last)

    def rejected(self) -> Iterator[Rejection]:
        """Yield the rejected messages."""
        with _disk_errors():
            yield from self._database.execute("SELECT * FROM rejected")

    def close(self) -> None:
        """Free the disk space."""
        self._database.close()

    def __del__(self) -> None:
        """Close a spool that was not consumed because the run ended first."""
        self.close()


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise SpoolError(
            f"Sorting messages on disk failed ({error}): free some space, or set TMPDIR to a directory with "
            "enough space"
        ) from None
