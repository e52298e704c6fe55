"""edna Pulse: `POST api/messages/history`.

Source: the vendor's page "Requesting message history" (April 2025).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import msgspec

from tap_msghistory.errors import UnexpectedAnswerError
from tap_msghistory.planning.windows import Order, Window
from tap_msghistory.reading.endpoint import PAGE_STATUSES, Complaint, Page, Request
from tap_msghistory.timestamps import MILLISECOND, to_text


@dataclass(frozen=True, slots=True)
class EdnaHistory:
    """The history of one edna account, narrowed by `filters` (request properties)."""

    base_url: str
    filters: Mapping[str, Any] = field(default_factory=dict)

    vendor: ClassVar[str] = "edna"
    rows_member: ClassVar[str] = "content"
    probe_order: ClassVar[Order | None] = Order.OLDEST_FIRST
    complaints: ClassVar[tuple[Complaint, ...]] = (
        Complaint(401, "Api key not found", "check edna_api_key, which may have expired"),
        Complaint(401, "", "check edna_api_key, which may have expired"),
        Complaint(
            403,
            "",
            "check that edna_api_key has not expired and that its method groups include message histories",
        ),
        Complaint(404, "", "check edna_base_url"),
        Complaint(400, "not-valid-request", "check edna_subscriber_address"),
        Complaint(400, "limit-not-valid", "lower page_size"),
        Complaint(400, "date-range-not-valid", "check start_date and end_date"),
        Complaint(400, "message-matcher-subject-not-found", "check edna_subject_id"),
        Complaint(400, "", "check the settings that begin with edna_"),
    )

    def page_request(self, window: Window, start: int, limit: int) -> Request:
        """Return the request for a page; `start` is the number of rows to skip.

        Sorted by `messageId`, which never changes: a status or a time that moves while pages are being
        read moves no row to another page.
        """
        return self._request(window, start, limit, "messageId")

    def probe_request(self, window: Window, index: int) -> Request:
        """Return the request for the `index`-th row by send time."""
        return self._request(window, index, 1, "sentOrReceivedAt")

    def newest_request(self, window: Window, limit: int) -> Request:
        """Return the request for the newest rows by send time."""
        return self._request(window, 0, limit, "sentOrReceivedAt", "DESC")

    def answer_type(self, row_type: type) -> Any:
        """Return the type of `{"content": [...], "hasNext": bool}`."""
        rows = list[row_type] | None  # type: ignore[valid-type]
        return msgspec.defstruct("EdnaAnswer", [("content", rows), ("hasNext", bool | None, None)])

    def page(self, answer: Any) -> Page:
        """Return the rows of an answer; `content: null` with nothing more to come is an empty page."""
        if answer.content is None and answer.hasNext:
            raise UnexpectedAnswerError("there is more to come, but no list of messages")
        return Page(answer.content or [], answer.hasNext)

    def _request(
        self, window: Window, offset: int, limit: int, sort_by: str, direction: str = "ASC"
    ) -> Request:
        body = {
            **self.filters,
            # The page does not say whether the bounds are inclusive. A server that leaves out both
            # would lose the messages of the instant at which two windows meet.
            "dateFrom": to_text(window.start - MILLISECOND),
            "dateTo": to_text(window.end),
            "offset": offset,
            "limit": limit,
            "sort": [{"property": sort_by, "direction": direction}],
        }
        return Request("POST", f"{self.base_url}/api/messages/history", json=body, success=PAGE_STATUSES)
