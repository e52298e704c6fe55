"""Counts the messages of a range up to the number that one query may list."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from tap_msghistory.errors import TapError
from tap_msghistory.planning.windows import Order, Reason, Window
from tap_msghistory.reading.batches import BOUNDARY_SLACK
from tap_msghistory.reading.series import ServerLimits
from tap_msghistory.reconciling.lists import Query, RowList
from tap_msghistory.reconciling.search import LARGE_ROWS, BoundarySearch, RowsMovedError, Target
from tap_msghistory.stats import WindowStats
from tap_msghistory.timestamps import MILLISECOND, from_text

logger = logging.getLogger("tap-msghistory.reconcile")


class NotCheckableError(TapError):
    """The vendor's messages in a range cannot be counted. The text is the reason."""


class CapFoundError(Exception):
    """The server returns only some of a query's rows. Count again, with smaller queries."""


class Segment(NamedTuple):
    """The number of messages in the first part of a range, in the server's order."""

    messages: int
    ends_at: datetime | None  #: the time at which the rest of the range starts; None: nothing remains


@dataclass(frozen=True, slots=True)
class SegmentCounter:
    """Counts messages of one series by their send times.

    The requested range is inclusive and starts a millisecond early, so the list may contain messages that
    belong to the previous range. They are recognized by their send time. With `is_wide`, the requested range
    is wider by `BOUNDARY_SLACK`, and both ends are located, because the vendor does not select messages
    exactly by the send time that it returns.
    """

    query: Query
    order: Order
    stats: WindowStats
    known_cap: int | None  #: the known limit of rows per query when counting started
    is_wide: bool = False

    def count(self, start: datetime, end: datetime, expected: int) -> Segment:
        """Count the messages sent in `(start, end]`, of which about `expected` are expected.

        Raises `ApiError`, `NotCheckableError`, `CapFoundError` and `RowsMovedError`.
        """
        slack = BOUNDARY_SLACK if self.is_wide else timedelta(0)
        rows = self._rows(start - slack, end + slack)
        near, far = (end, start) if self._is_newest_first else (start, end)
        capacity = self._limits.probed_row
        skipped = 0
        if self.is_wide or not self._is_newest_first:
            search = BoundarySearch(0)
            skipped = rows.rows_before(near, search)
            if search.is_end:
                rows.check_order()
                self._check_complete(rows, skipped)
                return Segment(0, None)
        ceiling = skipped + capacity
        if self._limits.max_rows_per_query is not None:
            ceiling = max(min(ceiling, self._limits.max_rows_per_query - 1), skipped + 1)
        search = BoundarySearch(
            min(skipped + expected, ceiling),
            floor=skipped,
            ceiling=ceiling,
            starts_large=expected > capacity,
        )
        while search.found is None or self._is_cut_off(search):
            if search.exceeds_ceiling:
                return self._cut(rows, skipped, far, search.low)
            rows.step(far, search)
        rows.check_order()
        if search.is_end:
            self._check_complete(rows, search.found)
        return Segment(search.found - skipped, None)

    def _is_cut_off(self, search: BoundarySearch) -> bool:
        """Return whether the list ends where the server is known to cut lists off, and can be split."""
        cap = self._limits.max_rows_per_query
        is_capped = cap is not None and search.is_end and search.low >= cap
        return is_capped and search.exceeds_ceiling

    @property
    def _limits(self) -> ServerLimits:
        return self.query.series.limits

    @property
    def _is_newest_first(self) -> bool:
        return self.order is Order.NEWEST_FIRST

    def _rows(self, start: datetime, end: datetime) -> RowList:
        return RowList(self.query, Window(start, end, Reason.REREAD), self.order, self.stats)

    def _cut(self, rows: RowList, skipped: int, far: datetime, row: int) -> Segment:
        """End the segment shortly before a row, between two messages that were sent at different times."""
        for is_requested in (False, True):
            if is_requested:
                rows.look_at(Target(row, is_large=True))
            near = {
                position: sent
                for position, sent in rows.times.items()
                if position >= max(skipped, row - LARGE_ROWS) and rows.precedes(sent, far)
            }
            if cut := _widest_gap(near, self.order):
                return Segment(cut.row - skipped, cut.at)
        # Many messages were sent in the same millisecond: the cut is before the first or after the last one.
        sent = from_text(rows.time_of(row - 1))
        before, after = (sent, sent - MILLISECOND) if self._is_newest_first else (sent - MILLISECOND, sent)
        first = rows.rows_before(before, BoundarySearch(row - LARGE_ROWS, floor=skipped))
        if first > skipped:
            return Segment(first - skipped, before)
        search = BoundarySearch(row + LARGE_ROWS, floor=row)
        last = rows.rows_before(after, search)
        if search.is_end:
            self._check_complete(rows, last)
        is_over = after <= far if self._is_newest_first else after >= far
        return Segment(last - skipped, None if is_over else after)

    def _check_complete(self, rows: RowList, count: int) -> None:
        """Check that a list which ends after `count` rows was not cut off there by the server.

        The range beyond the last row is requested. Raises `CapFoundError` if it has rows that the list lacks.
        """
        limits = self._limits
        cap = limits.max_rows_per_query
        if cap is not None and count >= cap:
            if cap != self.known_cap:
                raise CapFoundError  # found meanwhile, by another thread
            raise NotCheckableError(
                f"the vendor returns only {cap} messages per query, and more were sent at about the same time"
            )
        if cap is not None or count <= limits.reached_rows:
            return
        sent = from_text(rows.time_of(count - 1))
        if self._is_newest_first:
            rest, bound, previous = self._rows(rows.window.start, sent), sent - MILLISECOND, sent
        else:
            rest, bound, previous = self._rows(sent, rows.window.end), sent, sent - MILLISECOND
        search = BoundarySearch(1)
        same_time = rest.rows_before(bound, search)
        if search.is_end and same_time > 1:
            same_time -= rest.rows_before(previous, BoundarySearch(0))
        if search.is_end and (same_time <= 1 or from_text(rows.time_of(count - same_time)) == sent):
            limits.reached_rows = max(limits.reached_rows, count)
            return
        if rows.exists(count):
            raise RowsMovedError
        limits.max_rows_per_query = count
        logger.warning(
            "The vendor returns at most %d messages per query; ranges are split to stay below this limit",
            count,
        )
        raise CapFoundError


class _Cut(NamedTuple):
    row: int  #: rows before the cut
    at: datetime


def _widest_gap(times: Mapping[int, str], order: Order) -> _Cut | None:
    """Return the position and the end of the longest time without messages between known adjacent rows.

    Vendors may truncate times to seconds or filter by a time near the send time, so the longest one is the
    safest.
    """
    gaps = []
    for row in times.keys() & {row - 1 for row in times}:
        first, second = from_text(times[row]), from_text(times[row + 1])
        gap = first - second if order is Order.NEWEST_FIRST else second - first
        if gap > timedelta(0):
            gaps.append((gap, row + 1, max(first, second) - MILLISECOND))
    if not gaps:
        return None
    _, row, at = max(gaps)
    return _Cut(row, at)
