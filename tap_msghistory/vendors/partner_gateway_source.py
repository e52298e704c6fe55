"""The message history of the partner gateway: a series a channel."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from tap_msghistory.reading.paged_source import PagedHistory
from tap_msghistory.reading.paginators import PageNumberPaginator
from tap_msghistory.reading.records import Identity
from tap_msghistory.schemas import SCHEMAS
from tap_msghistory.vendors.partner_gateway import PartnerGatewayHistory

if TYPE_CHECKING:
    from tap_msghistory.config.account import Account
    from tap_msghistory.http.client import Client


class PartnerGatewayMessages(PagedHistory):
    """Sent messages of one channel."""

    CHANNELS: ClassVar[tuple[str, ...]] = ("SMS", "RCS", "WHATSAPP")

    schema = SCHEMAS.get_schema("partner_gateway_message")
    sent_at = "sendDate"
    id_fallback = "customerMessageId"
    #: Senders choose identifiers, and may give one to several messages.
    identity = Identity(key=("messageId",), message=("messageId", "destination", "sendDate"))

    def __init__(self, account: Account, channel: str) -> None:
        """Take one of `CHANNELS`."""
        super().__init__(account)
        self.name = f"partner_gateway_history_{channel.lower()}"
        self._channel = channel

    @cached_property
    def api(self) -> PartnerGatewayHistory:
        """The channel's history, narrowed by the settings."""
        config = self.account.config
        return PartnerGatewayHistory(
            config["partner_gateway_base_url"].rstrip("/"),
            self._channel,
            config.get("partner_gateway_status"),
        )

    @property
    def client(self) -> Client:
        """The client that holds the gateway's credentials."""
        return self.account.partner_gateway_client

    def get_new_paginator(self, expected_rows: int | None) -> PageNumberPaginator:
        """Return a paginator that counts pages."""
        return PageNumberPaginator(expected_rows)
