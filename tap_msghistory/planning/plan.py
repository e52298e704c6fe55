"""Plans a run: the ranges of send time to read, in order.

Let `B` be the send time up to which messages have been read, and `A` and `N` the latest send times that the
previous run and this run can read. A run reads

- new messages: `(B, N]`;
- for each age `d` of `revisit_after`, the messages that have reached that age since the previous run:
  `(A - d, N - d]`;
- with a `lookback`, also `(B - lookback, B]`.

The ranges of an age adjoin from run to run, so each message is read when it is new and at least once after it
reaches each age, however often runs happen. Adjacent or overlapping ranges are read as one, so one read can
cover several ages. Windows are ordered oldest first, and each is half-open, `(start, end]`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tap_msghistory.planning.bookmarks import Bookmark
from tap_msghistory.planning.windows import MAX_SPAN, Reason, Window, merged, split_range


@dataclass(frozen=True, slots=True)
class Schedule:
    """The settings that determine which messages a run reads."""

    start_date: datetime
    revisit_after: tuple[timedelta, ...] = ()
    lookback: timedelta = timedelta(0)


def plan(
    bookmark: Bookmark,
    until: datetime,
    schedule: Schedule,
    max_span: timedelta = MAX_SPAN,
    *,
    new_until: datetime | None = None,
) -> list[Window]:
    """Return the windows to read as of `until`, oldest first and without overlaps.

    With `new_until`, new messages sent after it are read by a later run.
    """
    start_date = schedule.start_date
    read_to = max(bookmark.read_to, start_date)
    if until <= read_to:
        return []
    lookback_start = max(read_to - schedule.lookback, start_date)
    revisits = (
        (max(bookmark.reached(age), start_date), min(until - age, lookback_start))
        for age in schedule.revisit_after
    )
    windows: list[Window] = []
    for start, end in merged(revisits):
        windows += split_range(start, end, Reason.REVISIT, max_span)
    windows += split_range(lookback_start, read_to, Reason.LOOKBACK, max_span)
    windows += split_range(read_to, min(new_until or until, until), Reason.NEW, max_span)
    return windows


def advance(bookmark: Bookmark, window: Window, until: datetime, schedule: Schedule) -> Bookmark:
    """Return the bookmark after `window`, the oldest unread window of a run as of `until`, has been read."""
    if window.reason is Reason.NEW:
        # Revisits are older than new messages, so they have all been read by now.
        return replace(bookmark, read_to=window.end, as_of=until, revisited_to={})
    return replace(
        bookmark,
        revisited_to={
            age: max(bookmark.reached(age), min(until - age, window.end)) for age in schedule.revisit_after
        },
    )
