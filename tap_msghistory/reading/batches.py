"""Batches: the form in which the messages of a window leave the reading stage, in send order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

from tap_msghistory.errors import ApiError
from tap_msghistory.planning.windows import Reason, Window
from tap_msghistory.reading.records import Rejected
from tap_msghistory.stats import WindowStats
from tap_msghistory.timestamps import MILLISECOND, to_text

#: Timestamps in a response may be truncated to seconds, and a vendor may filter by a time near the send time.
BOUNDARY_SLACK = timedelta(minutes=2)
#: Send times further than this outside the requested window are counted and reported.
_FAR = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Boundary:
    """The messages that the next window may return again."""

    fingerprints: Collection[int] = ()
    #: Whether all records among them were sent near the end of the window.
    only_near_end: bool = True


@dataclass(slots=True)
class Batch:
    """Records of a window in send order, each message once, in its latest version."""

    window: Window
    stats: WindowStats
    records: list[Any] = field(default_factory=list)  #: Structs with the schema's columns
    rejected: list[Rejected] = field(default_factory=list)
    keys: set[Any] = field(default_factory=set)  #: of the records, if different messages may share a key
    ends_window: bool = True  #: False: another batch of the same window follows
    boundary: Boundary = field(default_factory=Boundary)  #: of the batch that ends a window
    refusal: ApiError | None = None  #: the vendor's refusal to return this window


class Rows(Protocol):
    """The rows of one window."""

    def batches(self, window: Window, stats: WindowStats) -> Iterator[Batch]:
        """Yield the rows in send order, once."""


@dataclass(slots=True)
class WindowContents:
    """A window that was read, or that the vendor refused to return."""

    window: Window
    stats: WindowStats
    rows: Rows | None  #: None if `refusal` is set
    refusal: ApiError | None = None

    def batches(self) -> Iterator[Batch]:
        """Yield the window's messages in send order."""
        if self.rows is None:
            yield Batch(self.window, self.stats, refusal=self.refusal)
        else:
            yield from self.rows.batches(self.window, self.stats)


def refused(window: Window, stats: WindowStats, error: ApiError) -> WindowContents:
    """Return a revisit or lookback window that the vendor refused. Raises any other error."""
    if not error.is_range_refused or window.reason in {Reason.NEW, Reason.REREAD}:
        raise error
    return WindowContents(window, stats, None, error)


def boundary_start(window: Window, first_and_last: Sequence[str]) -> str:
    """Return the earliest send time whose messages the next window may return again.

    Empty if it may return any message: a vendor that returns rows outside the requested bounds filters by
    another time or more coarsely, for example by whole days.
    """
    if first_and_last and (
        first_and_last[0] < to_text(window.start - MILLISECOND) or first_and_last[-1] > to_text(window.end)
    ):
        return ""
    return to_text(window.end - BOUNDARY_SLACK)


def count_outside(times: Sequence[str], window: Window) -> int:
    """Count the ordered send times that lie far outside the window."""
    before = bisect_left(times, to_text(window.start - _FAR))
    return before + len(times) - bisect_right(times, to_text(window.end + _FAR))
