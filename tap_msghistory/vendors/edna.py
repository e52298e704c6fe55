"""edna Pulse: `POST api/messages/history`.

Source: the vendor's documentation, "Requesting message history" (April 2025).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import msgspec

from tap_msghistory.config.account import Vendor
from tap_msghistory.errors import UnexpectedResponseError
from tap_msghistory.http.request import ErrorRule, Request
from tap_msghistory.planning.windows import Order, Window
from tap_msghistory.reading.endpoint import PAGE_STATUSES
from tap_msghistory.reading.paginators import OffsetPaginator
from tap_msghistory.reading.source import PagedHistorySource
from tap_msghistory.schemas import load_schema
from tap_msghistory.timestamps import MILLISECOND, to_text

EDNA = Vendor(
    name="edna",
    base_url_setting="edna_base_url",
    credential_settings=(("edna_api_key",),),
    headers=lambda config: {"x-api-key": config["edna_api_key"]},
    per_second_setting="edna_requests_per_second",
    error_rules=(
        ErrorRule(401, "Api key not found", "check edna_api_key, which may have expired"),
        ErrorRule(401, "", "check edna_api_key, which may have expired"),
        ErrorRule(
            403,
            "",
            "check that edna_api_key has not expired and that its method groups include message histories",
        ),
        ErrorRule(404, "", "check edna_base_url"),
        ErrorRule(400, "not-valid-request", "check edna_subscriber_address"),
        ErrorRule(400, "limit-not-valid", "lower page_size"),
        ErrorRule(400, "date-range-not-valid", "check start_date and end_date"),
        ErrorRule(400, "message-matcher-subject-not-found", "check edna_subject_id"),
        ErrorRule(400, "", "check the settings whose names start with edna_"),
    ),
)


@dataclass(frozen=True, slots=True)
class EdnaEndpoint:
    """The history of one edna account, narrowed by `filters` (request properties)."""

    base_url: str
    filters: Mapping[str, Any] = field(default_factory=dict)

    rows_member: ClassVar[str] = "content"
    probe_order: ClassVar[Order | None] = Order.OLDEST_FIRST

    def page_request(self, window: Window, start: int, limit: int) -> Request:
        """Return the request for a page; `start` is the number of rows to skip.

        Rows are sorted by `messageId`, which never changes. Therefore, no row moves to another page if its
        status or a time changes while pages are read.
        """
        return self._request(window, start, limit, "messageId")

    def probe_request(self, window: Window, index: int) -> Request:
        """Return the request for row `index` by send time."""
        return self._request(window, index, 1, "sentOrReceivedAt")

    def newest_request(self, window: Window, limit: int, start: int = 0) -> Request:
        """Return the request for a page of rows by send time, newest first."""
        return self._request(window, start, limit, "sentOrReceivedAt", "DESC")

    def response_type(self, row_type: type) -> Any:
        """Return the type of `{"content": [...], "hasNext": bool}`."""
        rows = list[row_type] | None  # type: ignore[valid-type]
        return msgspec.defstruct("EdnaPage", [("content", rows), ("hasNext", bool | None, None)])

    def rows(self, content: Any) -> list[Any]:
        """Return the rows of a page; `content: null` without further rows is an empty page."""
        if content.content is None and content.hasNext:
            raise UnexpectedResponseError("it indicates more messages but contains no list of messages")
        return content.content or []

    def has_next(self, content: Any) -> bool | None:
        """Return `hasNext`."""
        has_next: bool | None = content.hasNext
        return has_next

    def _request(
        self, window: Window, offset: int, limit: int, sort_by: str, direction: str = "ASC"
    ) -> Request:
        body = {
            **self.filters,
            # It is not documented whether the bounds are inclusive. If both were exclusive, the messages of
            # the instant at which two windows meet would be lost without this millisecond.
            "dateFrom": to_text(window.start - MILLISECOND),
            "dateTo": to_text(window.end),
            "offset": offset,
            "limit": limit,
            "sort": [{"property": sort_by, "direction": direction}],
        }
        return Request("POST", f"{self.base_url}/api/messages/history", json=body, success=PAGE_STATUSES)


class EdnaHistorySource(PagedHistorySource):
    """Incoming and outgoing messages of all channels of one edna account."""

    name = "edna_history"
    schema = load_schema("edna_message")
    #: Identifiers of incoming and outgoing messages are independent of each other.
    primary_keys = ("messageId", "direction")
    replication_key = "sentOrReceivedAt"
    paginator = OffsetPaginator
    vendor = EDNA

    @cached_property
    def endpoint(self) -> EdnaEndpoint:
        """The account's history, narrowed by the settings."""
        config = self.account.config
        address = config.get("edna_subscriber_address")
        filters = {
            "channelTypes": config.get("edna_channel_types"),
            "trafficTypes": config.get("edna_traffic_types"),
            "direction": config.get("edna_direction"),
            "subjectId": config.get("edna_subject_id"),
            "messageId": config.get("edna_message_id"),
            "subscriberFilter": address and {"address": address, "type": config["edna_subscriber_type"]},
        }
        active = {name: value for name, value in filters.items() if value not in (None, [])}
        return EdnaEndpoint(self.vendor.base_url(config), active)

    @property
    def defaults(self) -> dict[str, Any]:
        """A row without a direction has the direction of the filter."""
        direction = self.account.config.get("edna_direction")
        return {"direction": direction} if direction else {}
