"""The message history of the partner gateway: one stream a channel."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from singer_sdk.schema.source import StreamSchema

from tap_msghistory.apis.partner_gateway import PartnerGatewayHistory
from tap_msghistory.paginators import LongestPage, PageNumberPaginator
from tap_msghistory.schemas import SCHEMAS
from tap_msghistory.streams.paged import PagedHistoryStream

if TYPE_CHECKING:
    from tap_msghistory.client import Client
    from tap_msghistory.tap import TapMessageHistory


class PartnerGatewayHistoryStream(PagedHistoryStream):
    """Sent messages of one channel."""

    CHANNELS: ClassVar[tuple[str, ...]] = ("SMS", "RCS", "WHATSAPP")

    schema: ClassVar[StreamSchema] = StreamSchema(SCHEMAS, key="partner_gateway_message")
    replication_key = sent_at = "sendDate"
    id_fallback = "customerMessageId"

    def __init__(self, tap: TapMessageHistory, channel: str) -> None:
        """Take one of `CHANNELS`."""
        super().__init__(tap, name=f"partner_gateway_history_{channel.lower()}")
        self._channel = channel
        self._longest_page = LongestPage()

    @cached_property
    def api(self) -> PartnerGatewayHistory:
        """The channel's history, narrowed by the settings."""
        return PartnerGatewayHistory(
            self.config["partner_gateway_base_url"].rstrip("/"),
            self._channel,
            self.config.get("partner_gateway_status"),
        )

    @property
    def client(self) -> Client:
        """The client that holds the gateway's credentials."""
        return self._tap.partner_gateway_client

    def get_new_paginator(self) -> PageNumberPaginator:
        """Go on until a page is short, and not because the server caps its pages."""
        return PageNumberPaginator(self.config["page_size"], self._longest_page)
