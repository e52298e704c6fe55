"""One account's access to the vendors: its settings, and a client a credential."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_msghistory.config.settings import Settings
from tap_msghistory.http.client import Client
from tap_msghistory.http.connections import basic
from tap_msghistory.http.rate_limiter import Pace
from tap_msghistory.vendors.edna import EdnaHistory
from tap_msghistory.vendors.partner_gateway import PartnerGatewayHistory

if TYPE_CHECKING:
    from tap_msghistory.reading.endpoint import HistoryApi


class Account:
    """What is read with one config. Nothing is made before it is needed: to discover needs no credentials."""

    def __init__(self, config: Mapping[str, Any], sharers: int | None = None) -> None:
        """Take a config that `tap_msghistory.config.validation` has normalized.

        `sharers` processes read with its credentials at once (None: this one only).
        """
        self.config = config
        self._sharers = sharers

    @cached_property
    def settings(self) -> Settings:
        """The settings; to be asked for once they have been checked."""
        return Settings.from_config(self.config)

    def limit_retries(self, seconds: float) -> None:
        """Retry requests for at most `seconds`; to be called before the first request."""
        budget = min(seconds, self.settings.max_retry_seconds)
        self.settings = replace(self.settings, max_retry_seconds=budget)

    @property
    def has_edna(self) -> bool:
        """Whether there is a credential for edna."""
        return "edna_api_key" in self.config

    @property
    def has_partner_gateway(self) -> bool:
        """Whether there is a credential for the partner gateway."""
        return bool({"partner_gateway_api_key", "partner_gateway_username"} & set(self.config))

    @cached_property
    def edna_client(self) -> Client:
        """The one client for edna."""
        credentials = {"x-api-key": self.config["edna_api_key"]}
        pace = Pace(per_second=self.config.get("edna_requests_per_second"), sharers=self._sharers)
        return self._client(EdnaHistory, credentials, pace)

    @cached_property
    def partner_gateway_client(self) -> Client:
        """The one client for the partner gateway: all that is read with a key shares its rate limit."""
        config = self.config
        if key := config.get("partner_gateway_api_key"):
            credentials = {"X-Api-Key": key}
        else:
            username, password = config["partner_gateway_username"], config["partner_gateway_password"]
            credentials = {"Authorization": basic(username, password)}
        pace = Pace(
            per_second=config["partner_gateway_requests_per_second"],
            per_minute=config["partner_gateway_requests_per_minute"],
            sharers=self._sharers,
        )
        return self._client(PartnerGatewayHistory, credentials, pace)

    def _client(self, api: type[HistoryApi], credentials: Mapping[str, str], pace: Pace) -> Client:
        return Client(
            vendor=api.vendor,
            credentials=credentials,
            complaints=api.complaints,
            pace=pace,
            connections=max(self.settings.concurrency, self.settings.export_concurrency),
            timeout=self.settings.request_timeout,
            max_retry_seconds=self.settings.max_retry_seconds,
        )
