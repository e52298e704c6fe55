"""The vendor's list of the messages in a range, in send order, of which a few rows are looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from tap_msghistory.planning.windows import Order, Window
from tap_msghistory.reading.page_decoder import Page
from tap_msghistory.reading.paginators import Paginator
from tap_msghistory.reading.records import Rejected
from tap_msghistory.reading.series import Series
from tap_msghistory.reconciling.search import LARGE_ROWS, BoundarySearch, RowsMovedError, Target
from tap_msghistory.stats import WindowStats
from tap_msghistory.timestamps import to_text

#: Rows of the page that shows in which order a server lists messages.
_SAMPLE_ROWS = 10


class Slice(NamedTuple):
    """Consecutive rows of a list."""

    first: int  #: position of the first row
    times: Sequence[str]  #: send times of the rows, as `to_text` writes them
    is_large: bool
    is_short: bool  #: no row follows, unless the page is large and capped

    @property
    def is_reliable(self) -> bool:
        """Whether the rows are at their positions; the server may have capped a short large page."""
        return not (self.is_large and self.is_short)


@dataclass(frozen=True, slots=True)
class Query:
    """The vendor's requests for one series of messages in send order, newest first if it can sort."""

    series: Series
    paginator: Paginator
    #: Returns the send time of an invalid row as the vendor returned it, None if it is unreadable.
    time_of_invalid: Callable[[Mapping[str, Any]], str | None]

    def sample(self, window: Window, stats: WindowStats) -> list[str]:
        """Return the send times of the first rows. Raises `ApiError`."""
        return self._send_times(self._page(window, 0, _SAMPLE_ROWS, stats).items, window)

    def note_order(self, times: Sequence[str]) -> Order | None:
        """Return the order in which the server lists rows, if these send times or earlier ones show it."""
        limits = self.series.limits
        if limits.order is None and times and times[0] != times[-1]:
            limits.order = Order.OLDEST_FIRST if times[0] < times[-1] else Order.NEWEST_FIRST
        return limits.order

    def slice(self, window: Window, target: Target, stats: WindowStats) -> Slice:
        """Return the rows around a position. Raises `ApiError`.

        A row that a limit of bytes may have cut off a small page is requested alone.
        """
        limits = self.series.limits
        if target.is_large:
            bounds = self.paginator.page_around(target.row, min(LARGE_ROWS, self.series.page_size))
        else:
            bounds = self.paginator.confirmation(target.row)
        page = self._page(window, bounds.start, bounds.limit, stats)
        items, is_short = page.items, len(page.items) < bounds.limit
        if is_short and items and not target.is_large and limits.may_be_cut(page, is_only_page=True):
            row = bounds.first + len(items)
            items = items + self._page(window, row, 1, stats).items
            is_short = bounds.first + len(items) == row
        found = Slice(bounds.first, self._send_times(items, window), target.is_large, is_short)
        if items and found.is_reliable:
            limits.reached_rows = max(limits.reached_rows, bounds.first + len(items) - 1)
        return found

    def _page(self, window: Window, start: int, limit: int, stats: WindowStats) -> Page:
        return self.series.send(self.series.endpoint.newest_request(window, limit, start), stats)

    def _send_times(self, items: Sequence[Any], window: Window) -> list[str]:
        """Return the send times of rows. An unreadable one is replaced by that of a neighbour."""
        times = [
            self.time_of_invalid(item.row) if type(item) is Rejected else self.series.layout.sent_at(item)
            for item in items
        ]
        known = next((time for time in times if time), to_text(window.end))
        return [known := time or known for time in times]


@dataclass(slots=True)
class RowList:
    """The rows of one query for the messages of a range."""

    query: Query
    window: Window
    order: Order
    stats: WindowStats
    times: dict[int, str] = field(default_factory=dict)  #: of the rows looked at, by position

    def precedes(self, sent: str, bound: datetime) -> bool:
        """Return whether a row is listed before the boundary after the messages sent up to `bound`."""
        is_older = sent <= to_text(bound)
        return is_older if self.order is Order.OLDEST_FIRST else not is_older

    def look_at(self, target: Target) -> Slice:
        """Request the rows around a position.

        Raises `ApiError`, and `RowsMovedError` if they are listed in the other order.
        """
        rows = self.query.slice(self.window, target, self.stats)
        if rows.is_reliable:
            self.times.update(enumerate(rows.times, rows.first))
        order = self.query.note_order(rows.times) or self.query.note_order(
            [self.times[row] for row in sorted(self.times)]
        )
        if order is not None and order is not self.order:
            raise RowsMovedError
        return rows

    def step(self, bound: datetime, search: BoundarySearch) -> None:
        """Request the next page of a search for a boundary. Raises `ApiError` and `RowsMovedError`."""
        rows = self.look_at(search.next())
        precedes = [self.precedes(sent, bound) for sent in rows.times]
        search.observe(rows.first, precedes, is_large=rows.is_large, is_short=rows.is_short)

    def rows_before(self, bound: datetime, search: BoundarySearch) -> int:
        """Return the number of rows before a boundary. Raises `ApiError` and `RowsMovedError`."""
        while search.found is None:
            self.step(bound, search)
        return search.found

    def check_order(self) -> None:
        """Look for a row that was sent at another time, if none has shown the server's order yet.

        Raises `ApiError`, and `RowsMovedError` if the rows are listed in the other order.
        """
        if self.query.series.limits.order is not None or max(self.times, default=0) == 0:
            return
        sent, search = self.time_of(0), BoundarySearch(len(self.times))
        while search.found is None and self.query.series.limits.order is None:
            rows = self.look_at(search.next())
            same = [time == sent for time in rows.times]
            search.observe(rows.first, same, is_large=rows.is_large, is_short=rows.is_short)

    def exists(self, row: int) -> bool:
        """Return whether a row exists now. Raises `ApiError`."""
        rows = self.look_at(Target(row, is_large=False))
        return row < rows.first + len(rows.times)

    def time_of(self, row: int) -> str:
        """Return the send time of a row. Raises `ApiError`, and `RowsMovedError` if it no longer exists."""
        if row not in self.times and not self.exists(row):
            raise RowsMovedError
        return self.times[row]
