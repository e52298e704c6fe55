"""Checks, samples and estimates windows with a few small requests."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, Protocol

from tap_msghistory.errors import ApiError
from tap_msghistory.planning.windows import Order, Reason, Window
from tap_msghistory.reading.layout import Layout
from tap_msghistory.reading.page_decoder import Page
from tap_msghistory.reading.series import PROBED_ROW, Series
from tap_msghistory.stats import WindowStats
from tap_msghistory.timestamps import MILLISECOND, from_text

#: Rows of a sample page.
_SAMPLE_ROWS = 10


class Sampler(Protocol):
    """Inspects a message history with small requests. All methods raise `ApiError`."""

    def check(self, window: Window) -> str:
        """Send one small request, and summarize the result."""

    def sample(self, window: Window) -> list[Any]:
        """Return a few records of a window."""

    def estimate(self, window: Window, stats: WindowStats) -> float | None:
        """Return the approximate number of messages in a window; None if it cannot be estimated."""

    def accepts(self, moment: datetime) -> bool:
        """Return whether the vendor serves requests for messages sent at `moment`; True if unknown."""


class PageSampler:
    """Samples an endpoint that returns pages."""

    def __init__(self, series: Series) -> None:
        self._series = series
        self._endpoint = series.endpoint
        self._rows = min(_SAMPLE_ROWS, series.page_size)

    def check(self, window: Window) -> str:
        """Request the newest messages of a window, and return when the last one was sent."""
        page = self._series.send(self._endpoint.newest_request(window, self._rows), WindowStats())
        times = [*map(self._series.layout.sent_at, page.records)]
        if not times:
            return f"ok, no message sent from {_minute(window.start)} to {_minute(window.end)}"
        # If the endpoint cannot sort, the page contains arbitrary messages of the window.
        is_newest = len(page.items) < self._rows or times == sorted(times, reverse=True)
        which = "newest message" if is_newest else "a message"
        return f"ok, {which} sent {_minute(from_text(max(times)))}"

    def sample(self, window: Window) -> list[Any]:
        """Return the records of one small page."""
        return self._series.page(window, 0, self._rows, WindowStats()).records

    def estimate(self, window: Window, stats: WindowStats) -> float:
        """Estimate the number of messages from the send time of a row. Sends one or two requests."""
        for index in (PROBED_ROW, PROBED_ROW // 10):
            page = self._series.send(self._endpoint.probe_request(window, index), stats)
            if times := [*map(self._series.layout.sent_at, page.records)]:
                order = (
                    self._series.limits.order
                    or order_of(page, times[-1], self._series.layout)
                    or Order.OLDEST_FIRST
                )
                share = window.share(from_text(times[0]), order)
                return index / share if share else index
        return index / 5  # fewer than `index`, possibly none

    def accepts(self, moment: datetime) -> bool:
        """Return whether a small request for the messages sent at `moment` is served."""
        try:
            self._series.page(Window(moment - MILLISECOND, moment, Reason.NEW), 0, 1, WindowStats())
        except ApiError as error:
            if error.is_range_refused:
                return False
            raise
        return True


def order_of(first_page: Page | None, later: str, layout: Layout) -> Order | None:
    """Compare the send time of a later row with that of the first row; None if they do not differ."""
    first = next(map(layout.sent_at, first_page.records), later) if first_page else later
    if first == later:
        return None
    return Order.OLDEST_FIRST if first < later else Order.NEWEST_FIRST


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
