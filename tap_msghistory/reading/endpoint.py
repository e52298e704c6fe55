"""The interface of a vendor's endpoint that returns messages in pages."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from tap_msghistory.http.request import Request
from tap_msghistory.planning.windows import Order, Window

#: Statuses of a page; 204 is a page without rows.
PAGE_STATUSES = frozenset({200, 204})


class HistoryEndpoint(Protocol):
    """Builds the requests for one series of messages, and locates the rows in a decoded response."""

    rows_member: ClassVar[str]  #: the member that contains the rows if a response is an object
    probe_order: ClassVar[Order | None]  #: the order of the rows that a probe counts; None: undocumented

    def page_request(self, window: Window, start: int, limit: int) -> Request:
        """Return the request for a page; `start` counts rows or pages, depending on the endpoint."""

    def probe_request(self, window: Window, index: int) -> Request:
        """Return a request for very few rows, the first of which is close to row `index` of the window."""

    def newest_request(self, window: Window, limit: int, start: int = 0) -> Request:
        """Return a request for a page of rows, newest first if the endpoint can sort.

        `start` is as in `page_request`.
        """

    def response_type(self, row_type: type) -> Any:
        """Return the msgspec type of a response body with rows of `row_type`."""

    def rows(self, content: Any) -> list[Any]:
        """Return the rows of a decoded body. Raises `UnexpectedResponseError` if it has no list of rows."""

    def has_next(self, content: Any) -> bool | None:
        """Return whether a decoded body indicates more rows; None: unknown."""
