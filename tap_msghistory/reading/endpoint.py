"""What the vendors' APIs have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from tap_msghistory.planning.windows import Order, Window

#: The statuses of a page: 204 is one without rows.
PAGE_STATUSES = frozenset({200, 204})


@dataclass(frozen=True, slots=True)
class Request:
    """A request, without its credentials."""

    method: str
    url: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    success: frozenset[int] = frozenset({200})  #: the statuses of a success
    is_repeatable: bool = True  #: whether it may be sent again although it may have had its effect


@dataclass(frozen=True, slots=True)
class Page:
    """An answer's rows, and whether the server promises more; None where it does not say."""

    rows: list[Any]
    has_next: bool | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    """A vendor's documented error: how to know it, and what the user should mend."""

    status: int
    code: str  #: stands in the answer's body; empty: the status alone says it
    advice: str


class HistoryApi(Protocol):
    """One series of messages at one vendor."""

    vendor: ClassVar[str]  #: the vendor's name, for people
    complaints: ClassVar[tuple[Complaint, ...]]  #: its documented errors
    rows_member: ClassVar[str]  #: the member of an answer that holds the rows, if it is an object
    probe_order: ClassVar[Order | None]  #: the order of the rows that a probe counts; None: not documented

    def page_request(self, window: Window, start: int, limit: int) -> Request:
        """Return the request for a page; `start` counts rows or pages, as the API does."""

    def probe_request(self, window: Window, index: int) -> Request:
        """Return a request for very few rows, the first of which is about the `index`-th of a window."""

    def newest_request(self, window: Window, limit: int) -> Request:
        """Return a request for the newest rows of a window, or for any if the API cannot sort."""

    def answer_type(self, row_type: type) -> Any:
        """Return the type of a whole answer whose rows are of `row_type`, for msgspec."""

    def page(self, answer: Any) -> Page:
        """Return the rows of an answer of that type. Raises `UnexpectedAnswerError` where it has none."""
