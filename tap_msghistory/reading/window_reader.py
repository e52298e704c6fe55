"""Reads one window page by page until the vendor has confirmed that it is complete."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from tap_msghistory.errors import ApiError
from tap_msghistory.planning.windows import TARGET_WINDOW_ROWS, Size, Window
from tap_msghistory.reading.batches import WindowContents, refused
from tap_msghistory.reading.completeness import Completeness, CompletenessCheck
from tap_msghistory.reading.layout import Identities
from tap_msghistory.reading.paginators import Paginator
from tap_msghistory.reading.probe import IMPRECISION, WindowProbe
from tap_msghistory.reading.series import Series
from tap_msghistory.reading.window_rows import WindowPass, WindowRows
from tap_msghistory.stats import WindowStats

logger = logging.getLogger("tap-msghistory.reader")

#: A window that was expected to fit but has at least this many rows contains rows that no split separates.
_INSEPARABLE = 2 * TARGET_WINDOW_ROWS
#: Maximum number of passes over a window whose rows keep moving.
_MAX_PASSES = 3


class WindowReader:
    """Reads a window of one series completely, or splits it. Used by several threads at once."""

    def __init__(self, series: Series, paginator: type[Paginator]) -> None:
        self._series = series
        self._layout = series.layout
        self._limits = series.limits
        self._paginator = paginator
        self._probe = WindowProbe(series)
        self._check_completeness = CompletenessCheck(series, paginator, self._probe)

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
            contents = refused(window, stats, error)
            stats.confirmed = False
            return contents

    def _read(self, window: Window, on_size_known: Callable[[], None], stats: WindowStats) -> WindowContents:
        if window.size is Size.LARGE:
            self._probe(window, None, stats)
            window = replace(window, size=Size.FITS)
        if window.size is Size.FITS or not window.splittable:
            on_size_known()
        passes: list[WindowPass] = []
        while len(passes) < _MAX_PASSES:
            current = self._read_pages(window, on_size_known, stats)
            window = replace(window, size=Size.FITS)
            if current.repeats and passes and current.rows.fingerprints() <= passes[-1].rows.fingerprints():
                raise ApiError("the server repeatedly returns the same messages")
            if current.is_consistent or (passes and current.agrees_with(passes[-1])):
                completeness = self._check_completeness(window, current, self._read_pages, stats)
                if completeness is not Completeness.CHANGING:
                    stats.confirmed = completeness is Completeness.COMPLETE
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

    def _read_pages(
        self, window: Window, on_size_known: Callable[[], None], stats: WindowStats
    ) -> WindowPass:
        """Read all pages once. Raises `WindowSplitRequired` if the window has too many rows."""
        is_sized = window.size is Size.FITS or not window.splittable
        pages, rows, short_page = self._paginator(window.expected_rows), WindowRows(self._layout), 0
        while not pages.finished:
            requested = pages.next(self._limits.page_rows(self._series.page_size))
            page = self._series.page(window, requested.start, requested.limit, stats)
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
        if window.expected_rows is not None and pages.positions > window.expected_rows * IMPRECISION:
            self._limits.filters_precisely = False
        if window.size is Size.FITS and pages.positions >= _INSEPARABLE:
            self._limits.inseparable_rows = max(self._limits.inseparable_rows, pages.positions)
        is_short_page = short_page >= pages.positions
        return WindowPass(rows, pages.positions, pages.moved, pages.repeats, is_short_page=is_short_page)
