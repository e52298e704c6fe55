"""The partner gateway of Agile Telecom's Qlara platform: `GET partner-gateway/v1/messages/history`.

Sources: the vendor's API reference, and its guides on authentication and rate limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import msgspec

from tap_msghistory.config.account import Vendor
from tap_msghistory.errors import UnexpectedResponseError
from tap_msghistory.http.connections import basic
from tap_msghistory.http.request import ErrorRule, Request
from tap_msghistory.planning.windows import Order, Window
from tap_msghistory.reading.endpoint import PAGE_STATUSES
from tap_msghistory.reading.paginators import PageNumberPaginator
from tap_msghistory.reading.source import PagedHistorySource
from tap_msghistory.schemas import load_schema
from tap_msghistory.timestamps import MILLISECOND, to_text

_PROBE_ROWS = 10


def _headers(config: Mapping[str, Any]) -> dict[str, str]:
    if key := config.get("partner_gateway_api_key"):
        return {"X-Api-Key": key}
    return {"Authorization": basic(config["partner_gateway_username"], config["partner_gateway_password"])}


PARTNER_GATEWAY = Vendor(
    name="the partner gateway",
    base_url_setting="partner_gateway_base_url",
    credential_settings=(
        ("partner_gateway_api_key",),
        ("partner_gateway_username", "partner_gateway_password"),
    ),
    headers=_headers,
    per_second_setting="partner_gateway_requests_per_second",
    per_minute_setting="partner_gateway_requests_per_minute",
    error_rules=(
        ErrorRule(
            401,
            "",
            "check partner_gateway_api_key, or partner_gateway_username and partner_gateway_password",
        ),
        ErrorRule(
            403,
            "",
            "add this machine's IP address to the account's IP list, and check that the key has the "
            "permission to read messages",
        ),
        ErrorRule(404, "", "check partner_gateway_base_url"),
        ErrorRule(400, "", "check the settings whose names start with partner_gateway_"),
    ),
)


@dataclass(frozen=True, slots=True)
class PartnerGatewayEndpoint:
    """The history of one channel: `SMS`, `RCS` or `WHATSAPP`."""

    base_url: str
    channel: str
    status: str | None = None

    rows_member: ClassVar[str] = "messages"
    probe_order: ClassVar[Order | None] = None  # undocumented

    def page_request(self, window: Window, start: int, limit: int) -> Request:
        """Return the request for a page; `start` is the number of pages of `limit` rows before it."""
        params: dict[str, str | int] = {
            "channel": self.channel,
            # Documented as inclusive. Nothing is lost if a server treats both bounds as exclusive.
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
        """Return the request for a few rows that include row `index`."""
        return self.page_request(window, index // _PROBE_ROWS, _PROBE_ROWS)

    def newest_request(self, window: Window, limit: int, start: int = 0) -> Request:
        """Return the request for a page; the first rows were the newest in all observed responses."""
        return self.page_request(window, start, limit)

    def response_type(self, row_type: type) -> Any:
        """Return the type of an array (API reference) or of `{"messages": [...]}` (worked example)."""
        rows = list[row_type] | None  # type: ignore[valid-type]
        return rows | msgspec.defstruct("GatewayPage", [("messages", rows)])

    def rows(self, content: Any) -> list[Any]:
        """Return the rows of a page."""
        rows: list[Any] | None = content if isinstance(content, list) else content and content.messages
        if rows is None:
            raise UnexpectedResponseError("it contains no list of messages")
        return rows

    def has_next(self, content: Any) -> bool | None:  # noqa: ARG002
        """Return None: the response does not indicate whether more rows follow."""
        return None


class PartnerGatewayHistorySource(PagedHistorySource):
    """Sent messages of one channel."""

    channel: ClassVar[str]

    schema = load_schema("partner_gateway_message")
    primary_keys = ("messageId",)
    replication_key = "sendDate"
    paginator = PageNumberPaginator
    vendor = PARTNER_GATEWAY
    #: A missing messageId is replaced by the customerMessageId, which senders choose and may reuse.
    distinguished_by = ("destination", "sendDate")
    id_fallback = "customerMessageId"

    @cached_property
    def endpoint(self) -> PartnerGatewayEndpoint:
        """The channel's history, narrowed by the settings."""
        config = self.account.config
        return PartnerGatewayEndpoint(
            self.vendor.base_url(config), self.channel, config.get("partner_gateway_status")
        )


class PartnerGatewaySmsHistorySource(PartnerGatewayHistorySource):
    """Sent SMS."""

    name = "partner_gateway_history_sms"
    channel = "SMS"


class PartnerGatewayRcsHistorySource(PartnerGatewayHistorySource):
    """Sent RCS messages."""

    name = "partner_gateway_history_rcs"
    channel = "RCS"


class PartnerGatewayWhatsAppHistorySource(PartnerGatewayHistorySource):
    """Sent WhatsApp messages."""

    name = "partner_gateway_history_whatsapp"
    channel = "WHATSAPP"
