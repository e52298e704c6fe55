"""Finds the row at which a window is full, and splits the window there."""

from __future__ import annotations

from datetime import datetime

from tap_msghistory.planning.windows import Order, Window
from tap_msghistory.reading.page_decoder import Page
from tap_msghistory.reading.read_ahead import WindowSplitRequired
from tap_msghistory.reading.sampler import order_of
from tap_msghistory.reading.series import Series
from tap_msghistory.stats import WindowStats
from tap_msghistory.timestamps import from_text, to_text

#: A part may have up to 5% more rows than precede the split.
IMPRECISION = 1.05
#: Maximum number of rows to probe, each twice as far as the previous one, if splits separate nothing.
_MAX_PROBES = 12


class WindowProbe:
    """Splits windows of one series that have too many rows."""

    def __init__(self, series: Series) -> None:
        self._series = series
        self._endpoint = series.endpoint
        self._layout = series.layout
        self._limits = series.limits

    def __call__(self, window: Window, first_page: Page | None, stats: WindowStats) -> None:
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
            separates = limits.order is not None and self._separates(
                window, from_text(at), limits.order, index, stats
            )
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

    def _separates(self, window: Window, at: datetime, order: Order, index: int, stats: WindowStats) -> bool:
        """Return whether a split at the send time of row `index` separates the rows before it from the rest.

        A vendor that filters more coarsely than by millisecond, for example by whole days, returns more rows
        for a part than precede the split. This is checked if it is likely, or if many windows depend on it.
        """
        limits = self._limits
        if not window.separates(at, order):
            limits.filters_precisely &= window.start < at <= window.end
            return False
        is_doubtful = not limits.filters_precisely or window.presplit_count(at, order) > 1
        if limits.max_rows_per_query is not None or not is_doubtful:
            return True
        part = window.first_part(at, order)
        is_precise = self._time_of_row(part, int(index * IMPRECISION), stats) is None
        limits.filters_precisely &= is_precise
        return is_precise
