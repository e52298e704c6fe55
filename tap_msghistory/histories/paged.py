"""Histories that are read page by page."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from tap_msghistory.decoding import PageDecoder
from tap_msghistory.effort import Effort
from tap_msghistory.histories.base import MessageHistory, Watch
from tap_msghistory.reader import Batch, Paginator, WindowReader
from tap_msghistory.windows import Window

if TYPE_CHECKING:
    from tap_msghistory.apis.base import HistoryApi


class PagedHistory(MessageHistory):
    """A message history behind a method that answers with pages."""

    @property
    @abc.abstractmethod
    def api(self) -> HistoryApi:
        """What to ask of the vendor."""

    @abc.abstractmethod
    def get_new_paginator(self) -> Paginator:
        """Return a paginator for one window."""

    def read_windows(self, windows: list[Window], watch: Watch) -> Iterator[Batch]:
        """Read up to `concurrency` windows at once, and yield a batch a window."""
        concurrency = self.account.settings.concurrency
        yield from self.side_by_side(windows, self._reader.read, concurrency, watch)

    def estimate(self, window: Window, effort: Effort) -> float:
        """Return about how many messages a window holds."""
        return self._reader.estimate(window, effort)

    @cached_property
    def _reader(self) -> WindowReader:
        decoder = PageDecoder(api=self.api, schema=self.schema, shaper=self.get_shaper())
        return WindowReader(
            api=self.api, client=self.client, decoder=decoder, paginator=self.get_new_paginator
        )
