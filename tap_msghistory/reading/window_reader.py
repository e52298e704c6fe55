"""Reads one window page by page until the vendor has confirmed that it is complete."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from tap_msghistory.errors import ApiError
from tap_msghistory.planning.windows import TARGET_WINDOW_ROWS, Reason, Size, Window
from tap_msghistory.reading.batches import WindowContents
from tap_msghistory.reading.layout import Identities
from tap_msghistory.reading.page_decoder import Page
from tap_msghistory.reading.paginators import Paginator
from tap_msghistory.reading.read_ahead import WindowSplitRequired
from tap_msghistory.reading.sampler import order_of
from tap_msghistory.reading.series import Series
from tap_msghistory.reading.window_rows import WindowRows
from tap_msghistory.stats import WindowStats
from tap_msghistory.timestamps import MILLISECOND, from_text, to_text

logger = logging.getLogger("tap-msghistory.reader")

#: Maximum number of rows to probe, each twice as far as the previous one, if splits separate nothing.
_MAX_PROBES = 12
#: A window that was expected to fit but has at least this many rows contains rows that no split separates.
_INSEPARABLE = 2 * TARGET_WINDOW_ROWS
#: A part may have up to 5% more rows than precede the split.
_IMPRECISION = 1.05
#: Size of the page that locates the last row of a window, whose position may differ from the expected one.
_COUNT_ROWS = 100
_SECOND = timedelta(seconds=1)
#: Maximum number of passes over a window whose rows keep moving.
_MAX_PASSES = 3


class _Completeness(Enum):
    COMPLETE = auto()
    CUT_OFF = auto()  #: the server returns only some of the rows
    CHANGING = auto()  #: rows were added while the window was read


@dataclass(slots=True)
class _Pass:
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

    def agrees_with(self, other: _Pass) -> bool:
        """Return whether two passes received the same messages, even if the server lists some twice."""
        return (
            not (self.moved or other.moved)
            and self.positions == other.positions
            and self.rows.fingerprints() == other.rows.fingerprints()
        )


class WindowReader:
    """Reads a window of one series completely, or splits it. Used by several threads at once."""

    def __init__(self, series: Series, paginator: type[Paginator]) -> None:
        self._series = series
        self._endpoint = series.endpoint
        self._layout = series.layout
        self._limits = series.limits
        self._paginator = paginator

    def __call__(
        self, window: Window, on_size_known: Callable[[], None], stats: WindowStats
    ) -> WindowContents:
        """Return the window's messages. `on_size_known` is called once a split has become unlikely.

        If the vendor refuses a revisit or lookback window, the window is returned with the refusal. Raises
        `WindowSplitRequired` with the windows to read instead, and `ApiError`.
        """
        try:
            return self._read(window, on_size_known, stats)
        except ApiError as error:
            if not error.is_range_refused or window.reason is Reason.NEW:
                raise
            stats.confirmed = False
            return WindowContents(window, stats, None, error)

    def _read(self, window: Window, on_size_known: Callable[[], None], stats: WindowStats) -> WindowContents:
        if window.size is Size.LARGE:
            self._probe(window, None, stats)
            window = replace(window, size=Size.FITS)
        if window.size is Size.FITS or not window.splittable:
            on_size_known()
        passes: list[_Pass] = []
        while len(passes) < _MAX_PASSES:
            current = self._read_pages(window, on_size_known, stats)
            window = replace(window, size=Size.FITS)
            if current.repeats and passes and current.rows.fingerprints() <= passes[-1].rows.fingerprints():
                raise ApiError("the server repeatedly returns the same messages")
            if current.is_consistent or (passes and current.agrees_with(passes[-1])):
                completeness = self._check_completeness(window, current, stats)
                if completeness is not _Completeness.CHANGING:
                    stats.confirmed = completeness is _Completeness.COMPLETE
                    return WindowContents(window, stats, current.rows)
            passes.append(current)
        logger.warning(
            "Rows kept moving while the window %s was read %d times. All messages received are kept, but "
            "others may be missing",
            window.describe(),
            _MAX_PASSES,
        )
        stats.confirmed = False
        *earlier, last = (pass_.rows for pass_ in passes)
        for rows in reversed(earlier):
            last.absorb(rows)
        return WindowContents(window, stats, last)

    def _read_pages(self, window: Window, on_size_known: Callable[[], None], stats: WindowStats) -> _Pass:
        """Read all pages once. Raises `WindowSplitRequired` if the window has too many rows."""
        is_sized = window.size is Size.FITS or not window.splittable
        pages, rows, short_page = self._paginator(window.expected_rows), WindowRows(self._layout), 0
        while not pages.finished:
            requested = pages.next(self._limits.page_rows(self._series.page_size))
            page = self._request_page(window, requested.start, requested.limit, stats)
            stats.pages += 1
            self._limits.note_page(page)
            new = rows.add(page.items, page.size)
            stats.replaced += page.replaced if new else 0
            identities = Identities(page.items, self._layout)
            may_be_cut = self._limits.may_be_cut(
                page, is_only_page=requested.first == 0 or short_page >= pages.positions
            )
            pages.advance(requested, identities, has_next=page.has_next, new=new, may_be_cut=may_be_cut)
            if requested.first == 0 and len(page.items) < requested.limit:
                short_page = len(page.items)
            if not (is_sized or pages.finished) and (page.has_next or len(page.items) >= requested.limit):
                self._probe(window, page, stats)
                is_sized = True
                on_size_known()
        if window.expected_rows is not None and pages.positions > window.expected_rows * _IMPRECISION:
            self._limits.filters_precisely = False
        if window.size is Size.FITS and pages.positions >= _INSEPARABLE:
            self._limits.inseparable_rows = max(self._limits.inseparable_rows, pages.positions)
        is_short_page = short_page >= pages.positions
        return _Pass(rows, pages.positions, pages.moved, pages.repeats, is_short_page=is_short_page)

    def _probe(self, window: Window, first_page: Page | None, stats: WindowStats) -> None:
        """Raise `WindowSplitRequired` if the window has too many rows and can be split.

        If a row has the same send time as all rows before it, or the vendor filters more coarsely than by
        millisecond, a split at that row separates nothing. Then rows further on are probed.
        """
        limits, index, is_first = self._limits, self._limits.probed_row, True
        if limits.order is None and first_page is None:
            first_page = self._series.send(self._endpoint.probe_request(window, 0), stats)
        for _ in range(_MAX_PROBES):
            at = self._time_of_row(window, index, stats)
            if at is None:
                return
            limits.order = limits.order or order_of(first_page, at, self._layout)
            separates = limits.order is not None and self._separates(window, from_text(at), index, stats)
            if limits.order and separates and (is_first or limits.max_rows_per_query):
                raise WindowSplitRequired(window.split(from_text(at), limits.order, index))
            if limits.max_rows_per_query and window.splittable:
                raise WindowSplitRequired(window.parts(2))
            # After a split that separated nothing, split only if at least as many rows follow the split as
            # precede it.
            is_first = separates
            index *= 2

    def _time_of_row(self, window: Window, index: int, stats: WindowStats) -> str | None:
        """Return the send time of approximately row `index`; None if there is no such row."""
        page = self._series.send(self._endpoint.probe_request(window, index), stats)
        if not page.items:
            return None
        self._limits.reached_rows = max(self._limits.reached_rows, index)
        return next(map(self._layout.sent_at, page.records), to_text(window.start))

    def _separates(self, window: Window, at: datetime, index: int, stats: WindowStats) -> bool:
        """Return whether a split at the send time of row `index` separates the rows before it from the rest.

        A vendor that filters more coarsely than by millisecond, for example by whole days, returns more rows
        for a part than precede the split. This is checked if it is likely, or if many windows depend on it.
        """
        limits = self._limits
        if limits.order is None or not window.separates(at, limits.order):
            limits.filters_precisely &= window.start < at <= window.end
            return False
        is_doubtful = not limits.filters_precisely or window.presplit_count(at, limits.order) > 1
        if limits.max_rows_per_query is not None or not is_doubtful:
            return True
        part = window.first_part(at, limits.order)
        is_precise = self._time_of_row(part, int(index * _IMPRECISION), stats) is None
        limits.filters_precisely &= is_precise
        return is_precise

    def _check_completeness(self, window: Window, current: _Pass, stats: WindowStats) -> _Completeness:
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
            return _Completeness.CUT_OFF
        is_known = current.is_short_page or rows in (window.expected_rows, 1) or rows <= limits.reached_rows
        if window.splittable and not is_known:
            halves = _halves(window, current.rows.send_times())
            total = self._count_seen(halves, current, stats)
            if total is None and self._compare_count(window, rows, stats) <= 0:
                limits.max_rows_per_query = rows
                logger.warning(
                    "The vendor returns at most %d messages per query; windows are split to stay below this "
                    "limit",
                    rows,
                )
                raise WindowSplitRequired(halves)
            if total is None or total < rows:
                return _Completeness.CHANGING
        limits.reached_rows = max(limits.reached_rows, rows)
        return _Completeness.COMPLETE

    def _count_seen(self, halves: list[Window], current: _Pass, stats: WindowStats) -> int | None:
        """Return the number of rows of two halves; None if they have rows that the whole does not have.

        If a limit had cut off rows of the whole, the halves would contain others. Servers list the rows of a
        half in the same order as those of the whole, so if the last row of a half was seen, all were.
        """
        seen, times, total = current.rows.fingerprints(), current.rows.send_times(), 0
        for half in halves:
            start, end = (bisect_right(times, to_text(bound)) for bound in (half.start, half.end))
            count = self._count_part(half, (end - start, current.positions), seen, stats)
            if count is None:
                return None
            total += count
        return total

    def _count_part(
        self, part: Window, expected: tuple[int, int], seen: set[int], stats: WindowStats
    ) -> int | None:
        """Return the number of rows of a part; None if it has unseen rows.

        Looks for the last row near the `expected` numbers. If it is elsewhere, all pages are read.
        """
        pages = self._paginator(None)
        size = min(_COUNT_ROWS, self._series.page_size)
        for requested in (pages.page_around(expected[0], size), pages.confirmation(expected[1])):
            page = self._request_page(part, requested.start, requested.limit, stats)
            if not seen.issuperset(map(self._layout.fingerprint, page.items)):
                return None
            count = requested.first + len(page.items)
            is_short = len(page.items) < requested.limit and (page.items or requested.first == 0)
            if is_short and self._is_end(part, count, page, stats):
                return count
        whole = self._read_pages(replace(part, size=Size.FITS), lambda: None, stats)
        return whole.positions if whole.rows.fingerprints() <= seen else None

    def _is_end(self, window: Window, count: int, last_page: Page, stats: WindowStats) -> bool:
        """Return whether a window has no more than `count` rows, which end with `last_page`."""
        if not self._limits.may_be_cut(last_page, is_only_page=False):
            return True
        return not self._request_page(window, count, 1, stats).items

    def _compare_count(self, window: Window, rows: int, stats: WindowStats) -> int:
        """Return 0 if a window has exactly `rows`, 1 if it has more, -1 if it has fewer."""
        requested = self._paginator(None).confirmation(rows)
        page = self._request_page(window, requested.start, requested.limit, stats)
        beyond = requested.first + len(page.items) - rows
        return (beyond > 0) - (beyond < 0)

    def _request_page(self, window: Window, start: int, limit: int, stats: WindowStats) -> Page:
        return self._series.send(self._endpoint.page_request(window, start, limit), stats)


def _halves(window: Window, times: Sequence[str]) -> list[Window]:
    """Split a window in the middle of the ordered send times that lie inside it."""
    inside = times[bisect_right(times, to_text(window.start)) : bisect_right(times, to_text(window.end))]
    middle = _gap_near_middle(inside)
    if middle is None or not window.start < middle < window.end:
        return window.parts(2)
    return [
        replace(window, end=middle, size=Size.UNKNOWN, expected_rows=None),
        replace(window, start=middle, size=Size.UNKNOWN, expected_rows=None),
    ]


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
