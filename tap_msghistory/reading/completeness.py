"""Checks that no limit on rows per query has cut off rows of a window."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto

from tap_msghistory.planning.windows import Size, Window
from tap_msghistory.reading.page_decoder import Page
from tap_msghistory.reading.paginators import Paginator
from tap_msghistory.reading.probe import WindowProbe
from tap_msghistory.reading.read_ahead import WindowSplitRequired, do_nothing
from tap_msghistory.reading.series import Series
from tap_msghistory.reading.window_rows import WindowPass
from tap_msghistory.stats import WindowStats
from tap_msghistory.timestamps import MILLISECOND, from_text, to_text

logger = logging.getLogger("tap-msghistory.reader")

#: Size of the page that locates the last row of a window, whose position may differ from the expected one.
_COUNT_ROWS = 100
_SECOND = timedelta(seconds=1)

#: Reads all pages of a window once.
ReadPages = Callable[[Window, Callable[[], None], WindowStats], WindowPass]


class Completeness(Enum):
    """Whether the rows of a window are complete."""

    COMPLETE = auto()
    CUT_OFF = auto()  #: the server returns only some of the rows
    CHANGING = auto()  #: rows were added while the window was read


class _UnseenRowsError(Exception):
    """A part of a window has rows that the window does not have."""


class CompletenessCheck:
    """Compares the rows of a window with those of its halves, which cost two small requests."""

    def __init__(self, series: Series, paginator: type[Paginator], probe: WindowProbe) -> None:
        self._series = series
        self._layout = series.layout
        self._limits = series.limits
        self._paginator = paginator
        self._probe = probe

    def __call__(
        self, window: Window, current: WindowPass, read_pages: ReadPages, stats: WindowStats
    ) -> Completeness:
        """Determine whether a limit on rows per query has cut off rows of a window.

        Raises `WindowSplitRequired` if it has and the window can be split.
        """
        limits, rows = self._limits, current.positions
        if limits.max_rows_per_query is not None and rows >= limits.max_rows_per_query:
            if window.splittable:
                self._probe(window, None, stats)
                raise WindowSplitRequired(window.parts(2))
            logger.warning(
                "The vendor returns only %d messages of the window %s, which cannot be split further; its "
                "other messages are missing",
                rows,
                window.describe(),
            )
            return Completeness.CUT_OFF
        is_known = current.is_short_page or rows in (window.expected_rows, 1) or rows <= limits.reached_rows
        if window.splittable and not is_known:
            times = current.rows.send_times()
            halves = _halves(window, times)
            try:
                total = self._count_seen(halves, times, current, read_pages, stats)
            except _UnseenRowsError:
                if self._has_more(window, rows, stats):
                    return Completeness.CHANGING
                limits.max_rows_per_query = rows
                logger.warning(
                    "The vendor returns at most %d messages per query; windows are split to stay below this "
                    "limit",
                    rows,
                )
                raise WindowSplitRequired(halves) from None
            if total < rows:
                return Completeness.CHANGING
        limits.reached_rows = max(limits.reached_rows, rows)
        return Completeness.COMPLETE

    def _count_seen(
        self,
        halves: list[Window],
        times: Sequence[str],
        current: WindowPass,
        read_pages: ReadPages,
        stats: WindowStats,
    ) -> int:
        """Return the number of rows of two halves. Raises `_UnseenRowsError` if the whole does not have all.

        If a limit had cut off rows of the whole, the halves would contain others. Servers list the rows of a
        half in the same order as those of the whole, so if the last row of a half was seen, all were.
        """
        seen, total = current.rows.fingerprints(), 0
        for half in halves:
            start, end = (bisect_right(times, to_text(bound)) for bound in (half.start, half.end))
            count = self._count_part(half, (end - start, current.positions), seen, stats)
            if count is None:
                whole = read_pages(replace(half, size=Size.FITS), do_nothing, stats)
                if not whole.rows.fingerprints() <= seen:
                    raise _UnseenRowsError
                count = whole.positions
            total += count
        return total

    def _count_part(
        self, part: Window, expected: tuple[int, int], seen: set[int], stats: WindowStats
    ) -> int | None:
        """Return the number of rows of a part; None if it is not near one of the `expected` numbers.

        Raises `_UnseenRowsError`.
        """
        pages = self._paginator(None)
        size = min(_COUNT_ROWS, self._series.page_size)
        for requested in (pages.page_around(expected[0], size), pages.confirmation(expected[1])):
            page = self._series.page(part, requested.start, requested.limit, stats)
            if not seen.issuperset(map(self._layout.fingerprint, page.items)):
                raise _UnseenRowsError
            count = requested.first + len(page.items)
            is_short = len(page.items) < requested.limit and (page.items or requested.first == 0)
            if is_short and (count == expected[0] or self._is_end(part, count, page, stats)):
                return count
        return None

    def _is_end(self, window: Window, count: int, last_page: Page, stats: WindowStats) -> bool:
        """Return whether a window has no more than `count` rows, which end with `last_page`."""
        if not self._limits.may_be_cut(last_page, is_only_page=False):
            return True
        return not self._series.page(window, count, 1, stats).items

    def _has_more(self, window: Window, rows: int, stats: WindowStats) -> bool:
        """Return whether a window has more than `rows` rows."""
        requested = self._paginator(None).confirmation(rows)
        page = self._series.page(window, requested.start, requested.limit, stats)
        return requested.first + len(page.items) > rows


def _halves(window: Window, times: Sequence[str]) -> list[Window]:
    """Split a window in the middle of the ordered send times that lie inside it."""
    inside = times[bisect_right(times, to_text(window.start)) : bisect_right(times, to_text(window.end))]
    middle = _gap_near_middle(inside)
    if middle is None or not window.start < middle < window.end:
        return window.parts(2)
    return window.halves(middle)


def _gap_near_middle(times: Sequence[str]) -> datetime | None:
    """Return a time near the middle of ordered send times, in a gap between two of them.

    Vendors may filter by whole seconds, and requests start a millisecond early, so a whole second in a gap of
    two seconds is preferred to any time in a gap of three milliseconds.
    """
    middle = len(times) // 2
    by_distance = sorted(range(1, len(times)), key=lambda index: abs(index - middle))
    for gap in (timedelta(seconds=2), 3 * MILLISECOND):
        for index in by_distance:
            earlier = from_text(times[index - 1])
            if from_text(times[index]) - earlier >= gap:
                split = earlier + 2 * MILLISECOND
                return split if gap < timedelta(seconds=1) else split.replace(microsecond=0) + _SECOND
    return None
