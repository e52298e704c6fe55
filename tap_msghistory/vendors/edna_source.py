"""The message history of edna Pulse."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_msghistory.reading.paged_source import PagedHistory
from tap_msghistory.reading.paginators import OffsetPaginator
from tap_msghistory.reading.records import Identity
from tap_msghistory.schemas import SCHEMAS
from tap_msghistory.vendors.edna import EdnaHistory

if TYPE_CHECKING:
    from tap_msghistory.http.client import Client


class EdnaMessages(PagedHistory):
    """Incoming and outgoing messages of all channels of one edna account."""

    name = "edna_history"
    schema = SCHEMAS.get_schema("edna_message")
    sent_at = "sentOrReceivedAt"
    #: Identifiers of incoming and outgoing messages are independent of each other.
    identity = Identity(key=("messageId", "direction"), message=("messageId", "direction"))

    @cached_property
    def api(self) -> EdnaHistory:
        """The account's history, narrowed by the settings."""
        config = self.account.config
        settings = {
            "channelTypes": config.get("edna_channel_types"),
            "trafficTypes": config.get("edna_traffic_types"),
            "direction": config.get("edna_direction"),
            "subjectId": config.get("edna_subject_id"),
            "messageId": config.get("edna_message_id"),
            "subscriberFilter": self._subscriber_filter,
        }
        filters = {name: value for name, value in settings.items() if value not in (None, [])}
        return EdnaHistory(config["edna_base_url"].rstrip("/"), filters)

    @property
    def client(self) -> Client:
        """The client that holds edna_api_key."""
        return self.account.edna_client

    @property
    def defaults(self) -> dict[str, Any]:
        """A row without a direction has the one that is filtered by."""
        direction = self.account.config.get("edna_direction")
        return {"direction": direction} if direction else {}

    def get_new_paginator(self, expected_rows: int | None) -> OffsetPaginator:
        """Return a paginator that skips rows."""
        return OffsetPaginator(expected_rows)

    @property
    def _subscriber_filter(self) -> dict[str, Any] | None:
        address = self.account.config.get("edna_subscriber_address")
        return address and {"address": address, "type": self.account.config["edna_subscriber_type"]}
