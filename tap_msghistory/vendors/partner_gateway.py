"""The partner gateway of Agile Telecom's Qlara platform: `GET partner-gateway/v1/messages/history`.

Sources: the vendor's pages of the API reference, and its guides on authentication and rate limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec

from tap_msghistory.errors import UnexpectedAnswerError
from tap_msghistory.planning.windows import Order, Window
from tap_msghistory.reading.endpoint import PAGE_STATUSES, Complaint, Page, Request
from tap_msghistory.timestamps import MILLISECOND, to_text

_PROBE_ROWS = 10


@dataclass(frozen=True, slots=True)
class PartnerGatewayHistory:
    """The history of one channel: `SMS`, `RCS` or `WHATSAPP`."""

    base_url: str
    channel: str
    status: str | None = None

    vendor: ClassVar[str] = "the partner gateway"
    rows_member: ClassVar[str] = "messages"
    probe_order: ClassVar[Order | None] = None  # not documented
    complaints: ClassVar[tuple[Complaint, ...]] = (
        Complaint(
            401,
            "",
            "check partner_gateway_api_key, or partner_gateway_username and partner_gateway_password",
        ),
        Complaint(
            403,
            "",
            "add this machine's IP address to the account's IP list, and check that the key has the "
            "permission to read messages",
        ),
        Complaint(404, "", "check partner_gateway_base_url"),
        Complaint(400, "", "check the settings that begin with partner_gateway_"),
    )

    def page_request(self, window: Window, start: int, limit: int) -> Request:
        """Return the request for a page; `start` is the number of pages of `limit` rows before it."""
        params: dict[str, str | int] = {
            "channel": self.channel,
            # Documented as inclusive; should the server leave both bounds out, nothing is lost either.
            "from": to_text(window.start - MILLISECOND),
            "to": to_text(window.end),
            "page": start,
            "limit": limit,
        }
        if self.status:
            params["status"] = self.status
        url = f"{self.base_url}/partner-gateway/v1/messages/history"
        return Request("GET", url, params=params, success=PAGE_STATUSES)

    def probe_request(self, window: Window, index: int) -> Request:
        """Return the request for a few rows, the `index`-th among them."""
        return self.page_request(window, index // _PROBE_ROWS, _PROBE_ROWS)

    def newest_request(self, window: Window, limit: int) -> Request:
        """Return the request for the first rows: the newest, as far as was seen."""
        return self.page_request(window, 0, limit)

    def answer_type(self, row_type: type) -> Any:
        """Return the type of an array (the reference) or of `{"messages": [...]}` (the worked example)."""
        rows = list[row_type] | None  # type: ignore[valid-type]
        return rows | msgspec.defstruct("GatewayAnswer", [("messages", rows)])

    def page(self, answer: Any) -> Page:
        """Return the rows of an answer."""
        rows = answer if isinstance(answer, list) else answer and answer.messages
        if rows is None:
            raise UnexpectedAnswerError("it has no list of messages")
        return Page(rows)
