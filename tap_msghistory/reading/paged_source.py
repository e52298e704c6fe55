"""Histories that are read page by page."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_msghistory.errors import ApiError
from tap_msghistory.planning.windows import Reason, Window
from tap_msghistory.reading.page_decoder import PageDecoder
from tap_msghistory.reading.paginators import Paginator
from tap_msghistory.reading.source import MessageHistory, Watch
from tap_msghistory.reading.window_reader import WindowReader
from tap_msghistory.reading.window_rows import Batch
from tap_msghistory.stats import Effort
from tap_msghistory.timestamps import MILLISECOND, from_text

if TYPE_CHECKING:
    from tap_msghistory.reading.endpoint import HistoryApi

#: Rows of the page that shows that credentials work.
_SAMPLE_ROWS = 10


class PagedHistory(MessageHistory):
    """A message history behind a method that answers with pages."""

    @property
    @abc.abstractmethod
    def api(self) -> HistoryApi:
        """What to ask of the vendor."""

    @abc.abstractmethod
    def get_new_paginator(self, expected_rows: int | None) -> Paginator:
        """Return a paginator for one window, of which the server may have counted the rows."""

    def read_windows(self, windows: list[Window], watch: Watch) -> Iterator[Batch]:
        """Read up to `concurrency` windows at once; a window that is held in memory is one batch."""
        concurrency = self.account.settings.concurrency
        for contents in self.side_by_side(windows, self._reader.read, concurrency, watch):
            yield from contents.batches()

    def estimate(self, window: Window, effort: Effort) -> float:
        """Return about how many messages a window holds."""
        return self._reader.estimate(window, effort)

    def check(self, window: Window) -> str:
        """Request the newest messages of a window, and return when the last one was sent."""
        times, is_all = self._reader.newest(window, _SAMPLE_ROWS, Effort())
        if not times:
            return f"ok, no message sent from {_minute(window.start)} to {_minute(window.end)}"
        # Where the vendor does not sort, the page is of any messages.
        which = "newest message" if is_all or times == sorted(times, reverse=True) else "a message"
        return f"ok, {which} sent {_minute(from_text(max(times)))}"

    def sample(self, window: Window) -> list[Any]:
        """Return the records of one small page."""
        return self._reader.sample(window, _SAMPLE_ROWS, Effort()).records

    def shows(self, moment: datetime) -> bool:
        """Return whether a small request for the messages of a moment is served. Raises `ApiError`."""
        try:
            self._reader.sample(Window(moment - MILLISECOND, moment, Reason.NEW), 1, Effort())
        except ApiError as error:
            if error.is_refusal:
                return False
            raise
        return True

    @cached_property
    def _reader(self) -> WindowReader:
        decoder = PageDecoder(
            api=self.api, schema=self.schema, shaper=self.get_shaper(), identity=self.identity
        )
        return WindowReader(
            api=self.api,
            client=self.client,
            decoder=decoder,
            layout=self.layout,
            page_size=self.account.config["page_size"],
            paginator=self.get_new_paginator,
        )


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
