"""Windows: half-open ranges of send time, `(start, end]`, and how they are split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from itertools import pairwise

from tap_msghistory.timestamps import MILLISECOND, floor, to_text

#: Maximum length of a window. edna rejects ranges of more than 366 days, and requests widen the bounds.
MAX_SPAN = timedelta(days=365)
#: Approximate maximum number of messages per window.
TARGET_WINDOW_ROWS = 10_000
_SPLITS_PER_PART = 4
_MAX_PARTS = 12


class Reason(str, Enum):
    """The reason why a window is read."""

    NEW = "new"
    REVISIT = "revisit"
    LOOKBACK = "lookback"
    REREAD = "reread"


class Size(Enum):
    """Whether the messages of a window are known to fit into memory."""

    UNKNOWN = "unknown"
    FITS = "fits"  #: they can be kept and sorted in memory
    LARGE = "large"  #: they are probably too many


class Order(Enum):
    """The order by send time in which a server lists rows."""

    OLDEST_FIRST = "oldest first"
    NEWEST_FIRST = "newest first"


@dataclass(frozen=True, slots=True)
class Window:
    """The messages sent in `(start, end]`."""

    start: datetime
    end: datetime
    reason: Reason
    size: Size = Size.UNKNOWN
    expected_rows: int | None = None  #: number of rows according to a probe; None: unknown

    @property
    def splittable(self) -> bool:
        """Whether it can be split into two windows of at least a millisecond."""
        return self.end - self.start >= 2 * MILLISECOND

    def describe(self) -> str:
        """Return the window as text for log lines and errors."""
        return f"{to_text(self.start)} to {to_text(self.end)}"

    def share(self, at: datetime, order: Order) -> float:
        """Return the share of the window that precedes a row sent `at`, in the server's order."""
        before = self.end - at if order is Order.NEWEST_FIRST else at - self.start
        return min(max(before / (self.end - self.start), 0.0), 1.0)

    def parts(self, count: int) -> list[Window]:
        """Split into `count` windows of about equal length, at most one per millisecond."""
        count = min(count, (self.end - self.start) // MILLISECOND)
        step = (self.end - self.start) / count
        bounds = [*(floor(self.start + step * number) for number in range(count)), self.end]
        return [
            replace(self, start=start, end=end, size=Size.UNKNOWN, expected_rows=None)
            for start, end in pairwise(bounds)
        ]

    def halves(self, middle: datetime) -> list[Window]:
        """Split into the window up to a time and the window after it."""
        unsized = replace(self, size=Size.UNKNOWN, expected_rows=None)
        return [replace(unsized, end=middle), replace(unsized, start=middle)]

    def separates(self, at: datetime, order: Order) -> bool:
        """Return whether a split at the send time of a row leaves a part on both sides of that row."""
        return self.start < _split_time(at, order) < self.end

    def presplit_count(self, at: datetime, order: Order) -> int:
        """Return the number of equal parts into which to split in advance; 0 or 1: split at `at` instead.

        Newest-first probes split from the end. Splitting a long window in advance makes its oldest part
        readable early.
        """
        if order is Order.OLDEST_FIRST:
            return 1
        full = max(_SPLITS_PER_PART * (self.end - at), MILLISECOND)
        return min((self.end - self.start) // full, _MAX_PARTS)

    def first_part(self, at: datetime, order: Order) -> Window:
        """Return the part of a split at `at` whose rows the server lists first."""
        older, newer = self.halves(_split_time(at, order))
        return older if order is Order.OLDEST_FIRST else newer

    def split(self, at: datetime, order: Order, row: int) -> list[Window]:
        """Split at the send time of the row at which the window is full; `separates` must be true.

        The part that fits contains the rows that the server lists before that row and, newest first, also
        the row itself, because requests start a millisecond early. Newest first, a long window is split into
        equal parts instead.
        """
        older, newer = self.halves(_split_time(at, order))
        if order is Order.OLDEST_FIRST:
            return [replace(older, size=Size.FITS, expected_rows=row), replace(newer, size=Size.LARGE)]
        count = self.presplit_count(at, order)
        if count > 1:
            return [replace(part, size=Size.LARGE) for part in self.parts(count)]
        return [replace(older, size=Size.LARGE), replace(newer, size=Size.FITS, expected_rows=row + 1)]


def split_range(start: datetime, end: datetime, reason: Reason, max_span: timedelta) -> list[Window]:
    """Split a range into windows that the vendors accept."""
    windows = []
    while start < end:
        stop = min(start + max_span, end)
        windows.append(Window(start, stop, reason))
        start = stop
    return windows


def merged(ranges: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    """Merge ranges that overlap or touch, and drop empty ones; return them in order."""
    found: list[tuple[datetime, datetime]] = []
    for start, end in sorted(ranges):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif start < end:
            found.append((start, end))
    return found


def joined(windows: Iterable[Window]) -> list[Window]:
    """Join adjacent windows that are read for the same reason; `windows` are in order."""
    ranges: list[Window] = []
    for window in windows:
        if ranges and ranges[-1].end == window.start and ranges[-1].reason is window.reason:
            ranges[-1] = replace(ranges[-1], end=window.end)
        else:
            ranges.append(window)
    return ranges


def _split_time(at: datetime, order: Order) -> datetime:
    # Many rows may share the millisecond. With oldest-first order, the split precedes all of them.
    return at - MILLISECOND if order is Order.OLDEST_FIRST else at + MILLISECOND
