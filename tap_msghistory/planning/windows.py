"""The plan: which stretches of send time a run reads, and in which order. No clock, no network.

Let `B` be the bookmark (send time has been read up to it), `A` the moment as of which that was done, and
`N` the moment as of which this run reads. A run reads

- what is new: `(B, N]`;
- for each age `d` of `revisit_after`, the messages that have reached that age since: `(A - d, N - d]`;
- with a `lookback`, also `(B - lookback, B]`.

Run after run the stretches of an age join without a gap, so that each message is read when it is new and
exactly once more at each age, whatever the rhythm of the runs. Stretches that touch or overlap are read as
one. Windows come oldest first, and each is half-open, `(start, end]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from itertools import pairwise

from tap_msghistory.timestamps import MILLISECOND, floor, to_text

#: edna refuses a range of more than 366 days; a day is left for bounds that a request widens.
MAX_SPAN = timedelta(days=365)
_CUTS_A_STRETCH = 4
_MOST_STRETCHES = 12


class Reason(str, Enum):
    """Why a window is read."""

    NEW = "new"
    REVISIT = "revisit"
    LOOKBACK = "lookback"


class Size(Enum):
    """What is known of how many messages a window holds."""

    UNKNOWN = "unknown"
    FITS = "fits"  #: it can be held and ordered in memory
    LARGE = "large"  #: it is likely to be too much


class Order(Enum):
    """The order of send time in which a server lists rows."""

    OLDEST_FIRST = "oldest first"
    NEWEST_FIRST = "newest first"


@dataclass(frozen=True, slots=True)
class Window:
    """The send times `(start, end]`."""

    start: datetime
    end: datetime
    reason: Reason
    size: Size = Size.UNKNOWN
    rows: int | None = None  #: how many rows the server counted in it; None: not known

    @property
    def splittable(self) -> bool:
        """Whether two windows of at least a millisecond can be made of it."""
        return self.end - self.start >= 2 * MILLISECOND

    def describe(self) -> str:
        """Return what a window is called in logs and errors."""
        return f"{to_text(self.start)} to {to_text(self.end)}"

    def share(self, at: datetime, order: Order) -> float:
        """Return which part of the window comes before the row sent `at`, as the server orders rows."""
        before = self.end - at if order is Order.NEWEST_FIRST else at - self.start
        return min(max(before / (self.end - self.start), 0.0), 1.0)

    def parts(self, count: int) -> list[Window]:
        """Return `count` windows that join, of about equal length; no more than there are milliseconds."""
        count = min(count, (self.end - self.start) // MILLISECOND)
        step = (self.end - self.start) / count
        bounds = [*(floor(self.start + step * number) for number in range(count)), self.end]
        return [
            replace(self, start=start, end=end, size=Size.UNKNOWN, rows=None)
            for start, end in pairwise(bounds)
        ]

    def separates(self, at: datetime, order: Order) -> bool:
        """Return whether a cut at the send time of a row leaves parts on both sides of that row."""
        return self.start < self._cut(at, order) < self.end

    def split(self, at: datetime, order: Order, row: int) -> list[Window]:
        """Cut at the send time of a row, the one at which the window is full; `separates` must hold.

        The part that fits lies on the side of that row that the server lists first: it has the rows before
        it or, newest first, also this one, as requests start a millisecond early.
        """
        cut = self._cut(at, order)
        older, newer = replace(self, end=cut, rows=None), replace(self, start=cut, rows=None)
        if order is Order.OLDEST_FIRST:
            return [replace(older, size=Size.FITS, rows=row), replace(newer, size=Size.LARGE)]
        # Newest-first probes cut from the end. A window that is dense throughout is cut in advance into
        # stretches of a few cuts each, so that the oldest can be read before the others are probed.
        count = (self.end - self.start) // max(_CUTS_A_STRETCH * (self.end - at), MILLISECOND)
        if count > 1:
            return self.parts(min(count, _MOST_STRETCHES))
        return [replace(older, size=Size.LARGE), replace(newer, size=Size.FITS, rows=row + 1)]

    def _cut(self, at: datetime, order: Order) -> datetime:
        # The rows that share the millisecond may be many: oldest first, they come behind the cut.
        return at - MILLISECOND if order is Order.OLDEST_FIRST else at + MILLISECOND


@dataclass(frozen=True, slots=True)
class Schedule:
    """The settings that say when a message is read again."""

    start_date: datetime
    revisit_after: tuple[timedelta, ...] = ()
    lookback: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Bookmark:
    """What has been read: all sent up to `read_to`, as of `as_of`.

    `revisited_to` has an entry an age only after a run that was stopped among its revisits: the send
    time up to which messages of that age were read again, so that no run repeats another's windows.
    """

    read_to: datetime
    as_of: datetime
    revisited_to: Mapping[timedelta, datetime] = field(default_factory=dict)
    read_from: datetime | None = None  #: the start_date of the first run; None: not known

    def reached(self, age: timedelta) -> datetime:
        """Return the send time up to which messages have been read again at `age`."""
        return self.revisited_to.get(age, self.as_of - age)


def plan(
    bookmark: Bookmark,
    until: datetime,
    schedule: Schedule,
    max_span: timedelta = MAX_SPAN,
    *,
    new_until: datetime | None = None,
) -> list[Window]:
    """Return the windows to read as of `until`, oldest first, none overlapping another.

    With `new_until`, new messages sent after it are left to a later run.
    """
    first = schedule.start_date
    read_to = max(bookmark.read_to, first)
    if until <= read_to:
        return []
    looked_back_to = max(read_to - schedule.lookback, first)
    revisits: list[tuple[datetime, datetime]] = []
    for reached, due in sorted((bookmark.reached(age), until - age) for age in schedule.revisit_after):
        start, end = max(reached, first), min(due, looked_back_to)
        if revisits and start <= revisits[-1][1]:
            start, end = revisits[-1][0], max(revisits.pop()[1], end)
        if start < end:
            revisits.append((start, end))
    windows: list[Window] = []
    for start, end in revisits:
        windows += _cut(start, end, Reason.REVISIT, max_span)
    windows += _cut(looked_back_to, read_to, Reason.LOOKBACK, max_span)
    windows += _cut(read_to, min(new_until or until, until), Reason.NEW, max_span)
    return windows


def advance(bookmark: Bookmark, window: Window, until: datetime, schedule: Schedule) -> Bookmark:
    """Return the bookmark once `window`, the oldest still to read as of `until`, has been read."""
    if window.reason is Reason.NEW:
        # All that was to be revisited is older than what is new, and so has been read by now.
        return Bookmark(read_to=window.end, as_of=until, read_from=bookmark.read_from)
    return replace(
        bookmark,
        revisited_to={
            age: max(bookmark.reached(age), min(until - age, window.end)) for age in schedule.revisit_after
        },
    )


def joined(windows: Iterable[Window]) -> list[Window]:
    """Return windows in order with those joined that touch and are read for the same reason."""
    stretches: list[Window] = []
    for window in windows:
        if stretches and stretches[-1].end == window.start and stretches[-1].reason is window.reason:
            stretches[-1] = replace(stretches[-1], end=window.end)
        else:
            stretches.append(window)
    return stretches


def _cut(start: datetime, end: datetime, reason: Reason, max_span: timedelta) -> list[Window]:
    """Cut a stretch into windows that the vendors accept."""
    windows = []
    while start < end:
        stop = min(start + max_span, end)
        windows.append(Window(start, stop, reason))
        start = stop
    return windows
