"""What the vendors' APIs have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from tap_msghistory.windows import Order, Window


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
    probes_like_pages: ClassVar[bool]  #: whether a probe counts rows in the order of the pages

    def page_request(self, window: Window, start: int, limit: int) -> Request:
        """Return the request for a page; `start` counts rows or pages, as the API does."""

    def probe_request(self, window: Window, index: int) -> Request:
        """Return a request for very few rows, from about the `index`-th of a window on."""

    def probe_order(self, times: list[str]) -> Order:
        """Return in which order the server answers, judged by the send times of a probe's rows."""

    def answer_type(self, row_type: type) -> Any:
        """Return the type of a whole answer whose rows are of `row_type`, for msgspec."""

    def page(self, answer: Any) -> Page:
        """Take the rows out of an answer of that type."""
