"""Reads one window page by page until the vendor has confirmed that it is complete."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tap_msghistory.errors import ApiError
from tap_msghistory.planning.windows import CAPACITY, Reason, Size, Window
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

#: Rows that are probed in turn, each twice as far as the previous one, if a split at a row separates nothing.
_MAX_PROBES = 12
#: A window that was expected to fit but has more rows than this is as full as the window it was split from.
_INSEPARABLE = 2 * CAPACITY
#: Passes over a window whose rows keep moving.
_MAX_PASSES = 3


@dataclass(slots=True)
class _Pass:
    """One pass over the pages of a window."""

    rows: WindowRows
    positions: int  #: rows that the server lists, by its own count
    moved: bool
    repeats: bool  #: the pass ended because pages contained nothing new
    is_short_page: bool  #: all rows came in one page that was not full

    @property
    def is_consistent(self) -> bool:
        """Whether the rows received are exactly those that the server listed."""
        return not self.moved and len(self.rows) == self.positions

    def agrees_with(self, other: _Pass) -> bool:
        """Return whether two passes saw the same messages, some of which a server may list twice."""
        return (
            not (self.moved or other.moved)
            and self.positions == other.positions
            and self.rows.hashes() == other.rows.hashes()
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
        """Return the window's messages; `on_size_known` is called once they are known to fit into memory.

        A window that is read again and that the vendor refuses is returned with the refusal. Raises
        `WindowSplitRequired` with the windows to read instead, and `ApiError`.
        """
        try:
            return self._read(window, on_size_known, stats)
        except ApiError as error:
            if not error.is_refusal or window.reason is Reason.NEW:
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
            if current.repeats and passes and current.rows.hashes() <= passes[-1].rows.hashes():
                raise ApiError("the server returns the same messages again and again")
            if current.is_consistent or (passes and current.agrees_with(passes[-1])):
                stats.confirmed = self._is_complete(window, current, stats)
                return WindowContents(window, stats, current.rows)
            passes.append(current)
        logger.warning(
            "Rows kept moving while the window %s was read %d times. Every message that was seen is kept, "
            "but the vendor has not confirmed that there are no others",
            window.describe(),
            _MAX_PASSES,
        )
        stats.confirmed = False
        *earlier, last = (pass_.rows for pass_ in passes)
        for rows in reversed(earlier):
            last.absorb(rows)
        return WindowContents(window, stats, last)

    def _read_pages(self, window: Window, on_size_known: Callable[[], None], stats: WindowStats) -> _Pass:
        """Read all pages once. Raises `WindowSplitRequired` if the window turns out too full."""
        is_sized = window.size is Size.FITS or not window.splittable
        pages, rows, short_page = self._paginator(window.rows), WindowRows(self._layout), 0
        while not pages.finished:
            requested = pages.next(self._limits.page_rows(self._series.page_size))
            page = self._request_page(window, requested.start, requested.limit, stats)
            stats.pages += 1
            self._limits.note_page(page)
            new = rows.add(page.items, page.size)
            stats.replaced += page.replaced if new else 0
            identities = Identities(page.items, self._layout)
            pages.advance(requested, identities, has_next=page.has_next, new=new)
            if requested.first == 0 and len(page.items) < requested.limit:
                short_page = len(page.items)
            if not (is_sized or pages.finished) and (page.has_next or len(page.items) >= requested.limit):
                self._probe(window, page, stats)
                is_sized = True
                on_size_known()
        if window.size is Size.FITS and pages.rows >= _INSEPARABLE:
            self._limits.inseparable_rows = max(self._limits.inseparable_rows, pages.rows)
        is_short_page = short_page >= pages.rows
        return _Pass(rows, pages.rows, pages.moved, pages.repeats, is_short_page=is_short_page)

    def _probe(self, window: Window, first_page: Page | None, stats: WindowStats) -> None:
        """Return if the window can be read as a whole. Raises `WindowSplitRequired` if it is full.

        If a row has the same send time as all rows before it, or the vendor selects less precisely than to
        the millisecond, a split at that row separates nothing. Then rows further on are probed.
        """
        limits, index, is_first = self._limits, self._limits.probed_row, True
        if limits.order is None and first_page is None:
            first_page = self._series.send(self._endpoint.probe_request(window, 0), stats)
        for _ in range(_MAX_PROBES):
            at = self._time_of_row(window, index, stats)
            if at is None:
                return
            limits.order = limits.order or order_of(first_page, at, self._layout)
            separates = limits.order is not None and window.separates(from_text(at), limits.order)
            if limits.order and separates and (is_first or limits.capacity):
                raise WindowSplitRequired(window.split(from_text(at), limits.order, index))
            if limits.capacity and window.splittable:
                raise WindowSplitRequired(window.parts(2))
            # After a split that separates nothing, as many rows must follow the next split as precede it.
            is_first = separates
            index *= 2

    def _time_of_row(self, window: Window, index: int, stats: WindowStats) -> str | None:
        """Return the send time of approximately row `index`; None if there is no such row."""
        page = self._series.send(self._endpoint.probe_request(window, index), stats)
        if not page.items:
            return None
        self._limits.reached_rows = max(self._limits.reached_rows, index)
        return next(map(self._layout.sent_at, page.records), to_text(window.start))

    def _is_complete(self, window: Window, current: _Pass, stats: WindowStats) -> bool:
        """Return whether no limit has cut off rows. Raises `WindowSplitRequired` if parts have more."""
        limits, rows = self._limits, current.positions
        if limits.capacity is not None and rows >= limits.capacity:
            if window.splittable:
                self._probe(window, None, stats)
                raise WindowSplitRequired(window.parts(2))
            logger.warning(
                "The vendor returns only %d messages of the window %s, which cannot be split further: the "
                "other messages are missing",
                rows,
                window.describe(),
            )
            return False
        is_known = current.is_short_page or rows in (window.rows, 1) or rows <= limits.reached_rows
        if window.splittable and not is_known:
            self._compare_with_halves(window, current, stats)
        limits.reached_rows = max(limits.reached_rows, rows)
        return True

    def _compare_with_halves(self, window: Window, current: _Pass, stats: WindowStats) -> None:
        """Request the counts of two halves. Raises `WindowSplitRequired` if they differ from those received.

        If a half has more rows, the server limits the number of rows per query to that of the whole window.
        """
        times = current.rows.send_times()
        if not times or not _lie_within(times, window):
            return  # counts by send time would prove nothing
        index, middle = _split_near_middle(times)
        if not window.start < middle < window.end:
            return
        halves = [replace(window, end=middle, rows=None), replace(window, start=middle, rows=None)]
        differences = [
            self._compare_count(half, count, stats)
            for half, count in zip(halves, (index, len(times) - index), strict=True)
        ]
        if min(differences) > 0 and self._compare_count(halves[0], current.positions, stats) == 0:
            return  # a half is as full as the whole: the vendor does not select that precisely
        if any(differences):
            if max(differences) > 0 and min(differences) == 0:
                self._limits.capacity = current.positions
                logger.warning(
                    "The vendor returns at most %d messages per query; windows are split to stay below",
                    current.positions,
                )
            raise WindowSplitRequired([replace(half, size=Size.UNKNOWN) for half in halves])

    def _compare_count(self, window: Window, rows: int, stats: WindowStats) -> int:
        """Return 0 if a window has exactly `rows`, 1 if it has more, -1 if it has fewer."""
        requested = self._paginator(None).confirmation(rows)
        page = self._request_page(window, requested.start, requested.limit, stats)
        beyond = requested.first + len(page.items) - rows
        return (beyond > 0) - (beyond < 0)

    def _request_page(self, window: Window, start: int, limit: int, stats: WindowStats) -> Page:
        return self._series.send(self._endpoint.page_request(window, start, limit), stats)


def _lie_within(times: Sequence[str], window: Window) -> bool:
    return to_text(window.start - MILLISECOND) <= times[0] and times[-1] <= to_text(window.end)


def _split_near_middle(times: Sequence[str]) -> tuple[int, datetime]:
    """Return how many of the ordered send times precede a split, and the time of the split.

    The split keeps its distance from all send times, as requests start a millisecond early. If many messages
    share a send time, it may precede the first.
    """
    middle = len(times) // 2
    for index in sorted(range(1, len(times)), key=lambda index: abs(index - middle)):
        earlier = from_text(times[index - 1])
        if from_text(times[index]) - earlier >= 3 * MILLISECOND:
            return index, earlier + 2 * MILLISECOND
    return 0, from_text(times[0]) - 2 * MILLISECOND
