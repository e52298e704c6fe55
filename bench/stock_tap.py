"""A tap for the same APIs, written like the SDK's template and guides, for comparison.

It uses REST streams and the SDK's paginators, JSONPath extraction and default writer. It uses no deprecated
feature and is not slowed down on purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from singer_sdk import RESTStream, Stream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import APIKeyAuthenticator
from singer_sdk.pagination import OffsetPaginator, PageNumberPaginator

if TYPE_CHECKING:
    import requests
    from singer_sdk.helpers.types import Context
    from singer_sdk.streams.rest import HTTPRequest, PageContext

PAGE_SIZE = 1000


class EdnaPaginator(OffsetPaginator):
    """Pagination by offset, until edna reports that there are no more rows."""

    def has_more(self, response: requests.Response) -> bool:
        """Return the response's `hasNext`."""
        return bool(response.json()["hasNext"])


class GatewayPaginator(PageNumberPaginator):
    """Pagination by page number, until a page is not full."""

    def has_more(self, response: requests.Response) -> bool:
        """Return whether the page is full."""
        return len(response.json()) == PAGE_SIZE


class MessageHistoryStream(RESTStream[int]):
    """Base class of both vendors' streams."""

    primary_keys: ClassVar[tuple[str, ...]] = ("messageId",)

    @property
    def url_base(self) -> str:
        """Base URL of the API."""
        return str(self.config["base_url"])

    @property
    def authenticator(self) -> APIKeyAuthenticator:
        """Authenticator that sends the key in a header."""
        return APIKeyAuthenticator(key="x-api-key", value=self.config["api_key"])

    def start_text(self, context: Context | None) -> str:
        """Return the bookmark or the start date."""
        start = self.get_starting_timestamp(context)
        return start.isoformat() if start else str(self.config["start_date"])


class EdnaHistoryStream(MessageHistoryStream):
    """Message history of an edna account."""

    name = "edna_history"
    path = "/api/messages/history"
    http_method = "POST"
    payload_as_json = True
    records_jsonpath = "$.content[*]"
    replication_key = "sentOrReceivedAt"
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("messageId", th.IntegerType, required=True),
        th.Property("tenantId", th.IntegerType),
        th.Property("channelType", th.StringType),
        th.Property("direction", th.StringType),
        th.Property("address", th.StringType),
        th.Property("content", th.StringType),
        th.Property("deliveryStatus", th.StringType),
        th.Property("deliveryStatusAt", th.DateTimeType),
        th.Property("deliveryStatusMessage", th.StringType),
        th.Property("sentOrReceivedAt", th.DateTimeType, required=True),
        th.Property("subjectId", th.IntegerType),
        th.Property("subjectName", th.StringType),
        th.Property("cascadeId", th.IntegerType),
        th.Property("cascadeName", th.StringType),
        th.Property("cascadeStageUuid", th.StringType),
        th.Property("broadcastId", th.IntegerType),
        th.Property("broadcastName", th.StringType),
        th.Property("trafficType", th.StringType),
        th.Property("segments", th.IntegerType),
        th.Property("subscriberId", th.IntegerType),
        th.Property("matcherId", th.IntegerType),
        th.Property("matcherName", th.StringType),
        th.Property("comment", th.StringType),
        th.Property("replyInMessageId", th.IntegerType),
        th.Property("replyOutMessageId", th.IntegerType),
        th.Property("externalRequestId", th.StringType),
    ).to_dict()

    def get_new_paginator(self) -> EdnaPaginator:
        """Return a paginator by offset."""
        return EdnaPaginator(start_value=0, page_size=PAGE_SIZE)

    def get_http_request(self, *, page: PageContext[int]) -> HTTPRequest:
        """Return the request for one page, sorted by send time."""
        request = super().get_http_request(page=page)
        request.data = {
            "dateFrom": self.start_text(page.stream_context),
            "dateTo": self.config["end_date"],
            "offset": page.next_page_token,
            "limit": PAGE_SIZE,
            "sort": [{"property": "sentOrReceivedAt", "direction": "ASC"}],
        }
        return request


class GatewayHistoryStream(MessageHistoryStream):
    """Message history of the partner gateway's SMS channel."""

    name = "partner_gateway_history_sms"
    path = "/api/partner-gateway/v1/messages/history"
    records_jsonpath = "$[*]"
    replication_key = "sendDate"
    schema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("messageId", th.StringType, required=True),
        th.Property("customerMessageId", th.StringType),
        th.Property("channel", th.StringType),
        th.Property("sender", th.StringType),
        th.Property("destination", th.StringType),
        th.Property("body", th.StringType),
        th.Property("deliveryStatus", th.StringType),
        th.Property("deliveryStatusDescription", th.StringType),
        th.Property("sendDate", th.DateTimeType, required=True),
        th.Property("deliveryDate", th.DateTimeType),
        th.Property("cost", th.NumberType),
        th.Property("parts", th.IntegerType),
    ).to_dict()

    def get_new_paginator(self) -> GatewayPaginator:
        """Return a paginator by page number."""
        return GatewayPaginator(start_value=0)

    def get_http_request(self, *, page: PageContext[int]) -> HTTPRequest:
        """Return the request for one page."""
        request = super().get_http_request(page=page)
        request.params = {
            "channel": "SMS",
            "from": self.start_text(page.stream_context),
            "to": self.config["end_date"],
            "page": page.next_page_token,
            "limit": PAGE_SIZE,
        }
        return request


class StockTap(Tap):
    """Tap for the history of one vendor."""

    name = "tap-stock"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        th.Property("vendor", th.StringType, required=True),
        th.Property("base_url", th.StringType, required=True),
        th.Property("api_key", th.StringType, required=True, secret=True),
        th.Property("start_date", th.DateTimeType, required=True),
        th.Property("end_date", th.DateTimeType, required=True),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        """Return the vendor's stream."""
        return [{"edna": EdnaHistoryStream, "gateway": GatewayHistoryStream}[self.config["vendor"]](self)]


if __name__ == "__main__":
    StockTap.cli()
