"""Puts any number of messages in order on disk: memory does not grow with them.

SQLite's private temporary database is a file that only this user can read, and that has no name from the
start, so that nothing is left of it whatever ends the tap.
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


class Message(NamedTuple):
    """A record with what it is ordered by, and what tells it from others."""

    sent_at: str
    id: Any  #: integer or text
    rest: str  #: the other properties of its identity
    key: bytes  #: the primary key
    record: bytes


Rejection = tuple[bytes, str]  # message, reason


class SpoolError(TapError):
    """The temporary database cannot be written or read."""


class Spool:
    """Takes messages in any order and gives them back in send order. For one thread at a time.

    All methods raise `SpoolError`.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        with _on_disk():
            self._database.executescript(_SET_UP)

    def add(self, messages: Iterable[Message]) -> None:
        """Take messages; of several versions of one, the last counts."""
        with _on_disk():
            self._database.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, ?)", messages)

    def reject(self, rejections: Iterable[Rejection]) -> None:
        """Take rejected messages, each once."""
        with _on_disk():
            self._database.executemany("INSERT OR REPLACE INTO rejected VALUES (?, ?)", rejections)

    def finish(self) -> None:
        """Drop older versions; nothing can be added afterwards."""
        with _on_disk():
            self._database.execute(_DROP_OLDER_VERSIONS)

    def messages(self) -> Iterator[Message]:
        """Yield the messages by send time, then identifier."""
        with _on_disk():
            yield from map(
                Message._make, self._database.execute("SELECT * FROM messages ORDER BY sent_at, id, rest")
            )

    def shared_keys(self) -> set[bytes]:
        """Return the keys that several messages have."""
        with _on_disk():
            rows = self._database.execute("SELECT key FROM messages GROUP BY key HAVING count(*) > 1")
            return {key for (key,) in rows}

    def send_times(self) -> list[str]:
        """Return all send times in order."""
        with _on_disk():
            rows = self._database.execute("SELECT sent_at FROM messages ORDER BY sent_at")
            return [sent_at for (sent_at,) in rows]

    def first_and_last(self) -> tuple[str, str] | None:
        """Return the first and the last send time; None if there are no messages."""
        with _on_disk():
            first, last = self._database.execute("SELECT min(sent_at), max(sent_at) FROM messages").fetchone()
        return None if first is None else (first, last)

    def rejected(self) -> Iterator[Rejection]:
        """Yield the rejected messages."""
        with _on_disk():
            yield from self._database.execute("SELECT * FROM rejected")

    def close(self) -> None:
        """Give the disk back."""
        self._database.close()

    def __del__(self) -> None:
        """Close what nobody came for, as the run had ended before."""
        self.close()


@contextlib.contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise SpoolError(
            f"Messages are put in order on disk, which fails ({error}): make room, or set TMPDIR "
            "to a directory that has it"
        ) from None
