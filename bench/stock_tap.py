"""A tap for the same APIs as the SDK's template and its guides have it: what the tap is measured beside.

REST streams, the SDK's paginators, its JSONPath extraction and its default writer; nothing deprecated, and
nothing made slow on purpose.
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
    """Goes on while edna says that there is more."""

    def has_more(self, response: requests.Response) -> bool:
        """Say what the answer says."""
        return bool(response.json()["hasNext"])


class GatewayPaginator(PageNumberPaginator):
    """Goes on until a page is short."""

    def has_more(self, response: requests.Response) -> bool:
        """Count the rows."""
        return len(response.json()) == PAGE_SIZE


class MessageHistoryStream(RESTStream[int]):
    """What both vendors' streams have in common."""

    primary_keys: ClassVar[tuple[str, ...]] = ("messageId",)

    @property
    def url_base(self) -> str:
        """Where the vendor is."""
        return str(self.config["base_url"])

    @property
    def authenticator(self) -> APIKeyAuthenticator:
        """Send the key as a header."""
        return APIKeyAuthenticator(key="x-api-key", value=self.config["api_key"])

    def starting_text(self, context: Context | None) -> str:
        """Return the bookmark or the start date."""
        start = self.get_starting_timestamp(context)
        return start.isoformat() if start else str(self.config["start_date"])


class EdnaHistoryStream(MessageHistoryStream):
    """All messages of an edna account."""

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
        """Count rows."""
        return EdnaPaginator(start_value=0, page_size=PAGE_SIZE)

    def get_http_request(self, *, page: PageContext[int]) -> HTTPRequest:
        """Ask for a page in send order."""
        request = super().get_http_request(page=page)
        request.data = {
            "dateFrom": self.starting_text(page.stream_context),
            "dateTo": self.config["end_date"],
            "offset": page.next_page_token,
            "limit": PAGE_SIZE,
            "sort": [{"property": "sentOrReceivedAt", "direction": "ASC"}],
        }
        return request


class GatewayHistoryStream(MessageHistoryStream):
    """One channel of the partner gateway."""

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
        """Count pages."""
        return GatewayPaginator(start_value=0)

    def get_http_request(self, *, page: PageContext[int]) -> HTTPRequest:
        """Ask for a page."""
        request = super().get_http_request(page=page)
        request.params = {
            "channel": "SMS",
            "from": self.starting_text(page.stream_context),
            "to": self.config["end_date"],
            "page": page.next_page_token,
            "limit": PAGE_SIZE,
        }
        return request


class StockTap(Tap):
    """Reads one vendor's history."""

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
