"""The rows of one window while it is being read: in memory, or on disk if they are large."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import compress, count
from operator import attrgetter, eq
from typing import Any

from tap_msghistory.planning.windows import Window
from tap_msghistory.reading.batches import Batch, Boundary, boundary_start, count_outside
from tap_msghistory.reading.layout import Layout
from tap_msghistory.reading.records import Rejected
from tap_msghistory.reading.spooled_rows import SpooledRows
from tap_msghistory.stats import WindowStats

#: Bytes of response bodies kept in memory per window. Messages of usual size stay below this limit.
_MEMORY_BYTES = 12_000_000

_id_of = attrgetter("messageId")


class WindowRows:
    """Collects a window's rows in any order. One thread at a time. Methods raise `SpoolError`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._bytes = 0
        # Keys: see _by_key. If a row is received twice, the later version is kept.
        self._rows: dict[Any, Any] = {}
        self._keys: set[Any] = set()  # of _rows, if different messages may share a primary key
        self._shares_ids = False  # different messages have the same messageId
        self._spooled: SpooledRows | None = None
        self._spooled_fingerprints: set[int] = set()

    def __len__(self) -> int:
        """Return the number of different rows."""
        return len(self._rows) + len(self._spooled_fingerprints)

    def add(self, items: Sequence[Any], size: int) -> int:
        """Add a page's rows, `size` bytes in total; return how many were not known before."""
        before = len(self)
        self._bytes += size
        page = self._by_key(items)
        self._rows.update(page)
        if self._layout.identity.keys_may_be_shared and self._spooled is None:
            # Collecting them later would read all rows from memory again instead of from the CPU's cache.
            self._keys.update(page)
        if self._spooled is None and self._bytes > _MEMORY_BYTES:
            self._spooled = SpooledRows(self._layout)
        if self._spooled is not None:
            self._spooled_fingerprints.update(self._memory_fingerprints())
            self._spooled.add(self._rows.values())
            self._rows.clear()
            self._keys.clear()
        return len(self) - before

    def fingerprints(self) -> set[int]:
        """Return the fingerprints of all rows."""
        return self._memory_fingerprints() if self._spooled is None else self._spooled_fingerprints

    def absorb(self, earlier: WindowRows) -> None:
        """Add the rows of an earlier pass that this one does not have."""
        known = {*self.fingerprints()}
        for item in earlier._rows.values() if earlier._spooled is None else earlier._spooled.items():
            if self._layout.fingerprint(item) not in known:
                self.add([item], 0)

    def send_times(self) -> list[str]:
        """Return the send times of all records in order."""
        if self._spooled is not None:
            return self._spooled.send_times()
        return sorted(map(self._layout.sent_at, self._records()))

    def batches(self, window: Window, stats: WindowStats) -> Iterator[Batch]:
        """Yield the rows in send order, in one batch if all are in memory. Frees the disk space."""
        if self._spooled is not None:
            self._spooled.finish()
            yield from self._spooled.batches(window, stats)
            return
        records, times = self._in_send_order(self._records())
        stats.outside += count_outside(times, window)
        overlap_start = boundary_start(window, times[:1] + times[-1:])
        overlap = records[bisect_left(times, overlap_start) :]
        fingerprints = {*map(self._layout.fingerprint, overlap)}
        rejected = []
        if len(records) < len(self._rows):
            rejected = [item for item in self._rows.values() if type(item) is Rejected]
            fingerprints.update(map(self._layout.fingerprint, rejected))
        if self._layout.identity.keys_may_be_shared and self._shares_ids:
            records, shared = _without_shared_keys(records, self._layout)
            rejected += shared
        self._rows = {}
        boundary = Boundary(fingerprints, only_near_end=overlap_start != "")
        yield Batch(window, stats, records, rejected, self._keys, boundary=boundary)

    def _memory_fingerprints(self) -> set[int]:
        return {*map(self._layout.fingerprint, self._rows.values())}

    def _records(self) -> list[Any]:
        items = [*self._rows.values()]
        if Rejected in map(type, items):
            return [item for item in items if type(item) is not Rejected]
        return items

    def _by_key(self, items: Sequence[Any]) -> dict[Any, Any]:
        """Return the rows of a page by dictionary key, the later one if a row is listed twice.

        The key is the messageId, or the whole identity if another message has the same messageId. Building
        the identity of every row would take a sixth of a sync's CPU time.
        """
        identity, rows = self._layout.identity_of, self._rows
        if Rejected in map(type, items):
            keys = [identity(item) if type(item) is Rejected else item.messageId for item in items]
        else:
            keys = [*map(_id_of, items)]
        page = dict(zip(keys, items, strict=True))
        known = rows.keys() & page.keys()
        if len(page) == len(items) and all(identity(rows[key]) == identity(page[key]) for key in known):
            return page
        page = {}
        first: dict[Any, Any] = {}
        for key, item in zip(keys, items, strict=True):
            other = rows.get(key, first.setdefault(key, item))
            if identity(other) == identity(item):
                page[key] = item
            else:
                page[identity(item)] = item
                self._shares_ids = True
        return page

    def _in_send_order(self, records: list[Any]) -> tuple[list[Any], list[str]]:
        """Sort by send time, and records of the same time by identity; also return the send times."""
        records.sort(key=self._layout.sent_at)
        times = [*map(self._layout.sent_at, records)]
        # Sorting everything by identity would take five times as long.
        done = 0
        for index in compress(count(), map(eq, times, times[1:])):
            if index >= done:
                done = bisect_right(times, times[index])
                records[index:done] = sorted(records[index:done], key=self._layout.sort_key)
        return records, times


@dataclass(slots=True)
class WindowPass:
    """One pass over the pages of a window."""

    rows: WindowRows
    positions: int  #: positions in the server's list, including rows listed twice
    moved: bool
    repeats: bool  #: the pass ended because pages contained nothing new
    is_short_page: bool  #: all rows came in one page that was not full

    @property
    def is_consistent(self) -> bool:
        """Whether the rows received are exactly those that the server listed."""
        return not self.moved and len(self.rows) == self.positions

    def agrees_with(self, other: WindowPass) -> bool:
        """Return whether two passes received the same messages, even if the server lists some twice."""
        return (
            not (self.moved or other.moved)
            and self.positions == other.positions
            and self.rows.fingerprints() == other.rows.fingerprints()
        )


def _without_shared_keys(records: list[Any], layout: Layout) -> tuple[list[Any], list[Rejected]]:
    """Return the first record of each key, and the others as rejected; `records` are in order."""
    kept: dict[Any, Any] = {}
    shared = []
    for record in records:
        key = layout.key_of(record)
        if key in kept:
            shared.append(layout.reject_shared_key(record))
        else:
            kept[key] = record
    return [*kept.values()], shared
