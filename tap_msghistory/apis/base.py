"""What the vendors' APIs have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from tap_msghistory.errors import UnexpectedAnswerError
from tap_msghistory.windows import Order, Window

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A request, without its credentials."""

    method: str
    url: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows as the vendor sent them; `has_next` is None where an answer does not say."""

    rows: list[Row]
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

    def page_request(self, window: Window, start: int, limit: int) -> Request:
        """Return the request for a page; `start` counts rows or pages, as the API does."""

    def probe_request(self, window: Window, index: int) -> Request:
        """Return a request for very few rows, from about the `index`-th of a window on."""

    def probe_order(self, times: list[str]) -> Order:
        """Return in which order the server answers, judged by the send times of a probe's rows."""

    def parse(self, body: bytes) -> Page:
        """Read an answer. Raises `UnexpectedAnswerError`."""


def as_rows(value: Any) -> list[Row]:
    """Return the rows of an answer. Raises `UnexpectedAnswerError` where it has none."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise UnexpectedAnswerError("the body holds no list of messages")
    return value
