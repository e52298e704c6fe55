"""Counts the vendor's messages in ranges of one stream, and learns how its server lists and selects them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from tap_msghistory.errors import ApiError
from tap_msghistory.planning.windows import Order, Reason, Window, split_range
from tap_msghistory.reading.series import ServerLimits
from tap_msghistory.reading.source import PagedHistorySource
from tap_msghistory.reconciling.lists import Query
from tap_msghistory.reconciling.search import RowsMovedError
from tap_msghistory.reconciling.segments import CapFoundError, NotCheckableError, SegmentCounter
from tap_msghistory.stats import WindowStats
from tap_msghistory.timestamps import MILLISECOND, to_text

#: Maximum number of attempts at a range whose rows move, or in which limits of the server are found.
_MAX_ATTEMPTS = 5


class Findings(NamedTuple):
    """How the server lists and selects messages, as far as responses have shown it."""

    order: Order | None
    filters_precisely: bool  #: whether it selects messages exactly by the send time that it returns


class _Part(NamedTuple):
    start: datetime
    end: datetime
    messages: int


class RangeCounter:
    """Counts messages of one stream. Used by several threads at once, after a first range."""

    def __init__(self, source: PagedHistorySource) -> None:
        """Create the counter; nothing is requested yet."""
        self._limits = ServerLimits()
        self._max_span = source.max_span
        self._query = Query(
            source.new_series(self._limits),
            source.paginator(None),
            lambda row: source.normalizer.timestamps(str(row.get(source.replication_key))),
        )

    @property
    def findings(self) -> Findings:
        """What is known about the server. A count is in doubt if it changes later."""
        return Findings(self._limits.order, self._limits.filters_precisely)

    def count(self, start: datetime, end: datetime, expected: int, stats: WindowStats) -> int:
        """Return the number of messages sent in `(start, end]`.

        One request suffices for up to 10,000 messages if there are `expected` messages. Raises `ApiError` and
        `NotCheckableError`.
        """
        for _ in range(_MAX_ATTEMPTS):
            try:
                return self._count(start, end, expected, stats)
            except (CapFoundError, RowsMovedError):
                continue
        raise NotCheckableError(
            "the vendor's messages moved while they were counted, or are not listed in send order"
        )

    def detect_order(self, start: datetime, end: datetime, stats: WindowStats) -> None:
        """Find out in which order the server lists rows, and whether it selects them precisely.

        One request, unless the order is known. Until rows show it, newest first is assumed. Raises
        `ApiError`.
        """
        if self._limits.order is None:
            window = Window(max(start, end - self._max_span), end, Reason.REREAD)
            times = self._query.sample(window, stats)
            outside = times and (
                min(times) < to_text(window.start - MILLISECOND) or max(times) > to_text(window.end)
            )
            self._limits.filters_precisely &= not outside
            self._query.note_order(times)

    def _count(self, start: datetime, end: datetime, expected: int, stats: WindowStats) -> int:
        limits = self._limits
        order, cap = limits.order or Order.NEWEST_FIRST, limits.max_rows_per_query
        counter = SegmentCounter(self._query, order, stats, cap, is_wide=not limits.filters_precisely)
        parts = self._parts(counter, start, end, expected)
        total = sum(part.messages for part in parts)
        if total == expected or counter.is_wide:
            return total
        wide = SegmentCounter(self._query, order, stats, cap, is_wide=True)
        try:
            if all(self._agrees(wide, part) for part in {parts[0], parts[-1]}):
                return total
        except NotCheckableError:
            return total  # the wider range has more messages than a query returns
        except ApiError as error:
            if not error.is_range_refused:
                raise
            return total  # the wider range starts before the vendor's retention period
        self._limits.filters_precisely = False
        return sum(part.messages for part in self._parts(wide, start, end, total))

    def _parts(self, counter: SegmentCounter, start: datetime, end: datetime, expected: int) -> list[_Part]:
        """Count a range in parts, in the server's order."""
        is_newest_first = counter.order is Order.NEWEST_FIRST
        pieces = split_range(start, end, Reason.REREAD, self._max_span)
        parts: list[_Part] = []
        for piece in reversed(pieces) if is_newest_first else pieces:
            start, end = piece.start, piece.end
            cut: datetime | None = start
            while cut is not None:
                left = expected - sum(part.messages for part in parts)
                messages, cut = counter.count(start, end, max(left, 0))
                if cut is not None and not start < cut < end:
                    raise RowsMovedError  # not in send order: the rest would never become smaller
                if is_newest_first:
                    parts.append(_Part(cut or start, end, messages))
                    end = cut or end
                else:
                    parts.append(_Part(start, cut or end, messages))
                    start = cut or start
        return parts

    def _agrees(self, counter: SegmentCounter, part: _Part) -> bool:
        """Return whether another way to count finds the same number of messages in a part."""
        recounted = self._parts(counter, *part)
        return sum(part.messages for part in recounted) == part.messages
