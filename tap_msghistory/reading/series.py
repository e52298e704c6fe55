"""One series of messages: its endpoint, client and decoder, and the server's limits."""

from __future__ import annotations

from dataclasses import dataclass

from tap_msghistory.http.client import Client
from tap_msghistory.http.request import Request
from tap_msghistory.planning.windows import TARGET_WINDOW_ROWS, Order, Window
from tap_msghistory.reading.endpoint import HistoryEndpoint
from tap_msghistory.reading.layout import Layout
from tap_msghistory.reading.page_decoder import Page, PageDecoder
from tap_msghistory.stats import WindowStats

#: Probe slightly below the target or limit, because overlapping pages and shared bounds add rows.
_PROBE_MARGIN = 100
PROBED_ROW = TARGET_WINDOW_ROWS - _PROBE_MARGIN
#: Bytes per page. If messages are large, a page has fewer rows.
_PAGE_BYTES = 4_000_000
_MIN_PAGE_ROWS = 10
#: Bytes of an unusually large row, and of the largest row that is expected.
_LARGE_ROW = 16_000
_MAX_ROW_BYTES = 250_000


@dataclass(slots=True)
class ServerLimits:
    """The server's limits and row sizes, as observed in responses."""

    max_rows_per_query: int | None = None  #: the known limit of rows per query; None: no limit is known
    reached_rows: int = 0  #: the largest number of rows that a query is known to return
    filters_precisely: bool = True  #: False: the vendor returned rows that a split should have separated
    order: Order | None = None
    row_bytes: float = 0.0  #: average size of the last page's rows
    largest_row: float = 0.0  #: largest average size of a page's rows, in bytes
    largest_page: int = 0  #: bytes
    inseparable_rows: int = 0  #: the largest number of rows that no split separated

    @property
    def probed_row(self) -> int:
        """The row at which a window is full."""
        row = max(PROBED_ROW, 2 * self.inseparable_rows)
        if self.max_rows_per_query is None:
            return row
        return max(min(row, self.max_rows_per_query - _PROBE_MARGIN), self.max_rows_per_query // 2, 1)

    def note_page(self, page: Page) -> None:
        """Record the size of a page's rows."""
        if page.items:
            self.row_bytes = page.size / len(page.items)
            self.largest_row = max(self.largest_row, self.row_bytes)
        self.largest_page = max(self.largest_page, page.size)

    def may_be_cut(self, page: Page, *, is_only_page: bool) -> bool:
        """Return whether a limit of bytes may have cut off the row after the end of a page.

        The server is known to return pages as large as the largest so far. A window whose only page has rows
        of usual size is assumed to be complete, because checking it would cost a request per window.
        """
        if is_only_page:
            return page.size > _LARGE_ROW * max(len(page.items), 1)
        return self.largest_page - page.size < max(_MAX_ROW_BYTES, 2 * self.largest_row)

    def page_rows(self, page_size: int) -> int:
        """Return how many rows to request in one page: `page_size`, or fewer if rows are large."""
        if self.row_bytes * page_size <= _PAGE_BYTES:
            return page_size
        return min(page_size, max(int(_PAGE_BYTES / self.row_bytes), _MIN_PAGE_ROWS))


@dataclass(frozen=True, slots=True)
class Series:
    """The messages behind one endpoint with one credential. Shared by all windows."""

    endpoint: HistoryEndpoint
    client: Client
    decoder: PageDecoder
    layout: Layout
    page_size: int  #: rows to request per page
    limits: ServerLimits

    def page(self, window: Window, start: int, limit: int, stats: WindowStats) -> Page:
        """Return a page of a window; `start` counts rows or pages. Raises `ApiError`."""
        return self.send(self.endpoint.page_request(window, start, limit), stats)

    def send(self, request: Request, stats: WindowStats) -> Page:
        """Return the page that a request returns. Raises `ApiError`."""
        return self.client.send(request, self.decoder, stats)
