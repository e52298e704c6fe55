"""Puts any number of messages in order on disk: what is in memory does not grow with them.

SQLite's private temporary database is a file that only this user can read, and that has no name from the
start, so that nothing is left of it whatever ends the tap.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator

from tap_msghistory.errors import TapError

_SET_UP = """
PRAGMA journal_mode = OFF;
PRAGMA temp_store = FILE;
CREATE TABLE messages (sent_at TEXT, id TEXT, record BLOB);
CREATE TABLE rejected (message BLOB PRIMARY KEY, reason TEXT);
BEGIN;
"""
_DROP_OLDER_VERSIONS = """
DELETE FROM messages WHERE rowid NOT IN (SELECT max(rowid) FROM messages GROUP BY id)
"""

Message = tuple[str, str, bytes]  # send time, id, record
Rejection = tuple[bytes, str]  # message, reason


class SpoolError(TapError):
    """The disk takes no more."""


class Spool:
    """Takes messages in any order and gives them back in send order. For one thread at a time."""

    def __init__(self) -> None:
        """Be empty."""
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        with _on_disk():
            self._database.executescript(_SET_UP)

    def add(self, messages: Iterable[Message]) -> None:
        """Take messages; of several with the same id, the last. Raises `SpoolError`, as all here do."""
        with _on_disk():
            self._database.executemany("INSERT INTO messages VALUES (?, ?, ?)", messages)

    def reject(self, rejections: Iterable[Rejection]) -> None:
        """Take messages that cannot be shaped, each once."""
        with _on_disk():
            self._database.executemany("INSERT OR REPLACE INTO rejected VALUES (?, ?)", rejections)

    def finish(self) -> None:
        """Be done with taking."""
        with _on_disk():
            self._database.execute(_DROP_OLDER_VERSIONS)

    def sent_before(self, moment: str) -> Iterator[Message]:
        """Yield the messages sent before a moment, by send time and then id."""
        with _on_disk():
            yield from self._database.execute(
                "SELECT * FROM messages WHERE sent_at < ? ORDER BY sent_at, id", (moment,)
            )

    def sent_since(self, moment: str) -> Iterator[Message]:
        """Yield the others."""
        with _on_disk():
            yield from self._database.execute(
                "SELECT * FROM messages WHERE sent_at >= ? ORDER BY sent_at, id", (moment,)
            )

    def rejected(self) -> Iterator[Rejection]:
        """Yield what cannot be shaped."""
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
            f"Exported messages are put in order on disk, which fails ({error}): make room, or set TMPDIR "
            "to a directory that has it"
        ) from None
