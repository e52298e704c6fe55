"""One account's access to the vendors: its settings, and one client per credential."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from backoff import full_jitter

from tap_msghistory.config.values import Settings
from tap_msghistory.http.client import Client
from tap_msghistory.http.rate_limiter import RateLimiter
from tap_msghistory.http.request import ErrorRule
from tap_msghistory.http.retries import Jitter
from tap_msghistory.schemas import ACCOUNT

Config = Mapping[str, Any]

_MAX_CHECK_SECONDS = 10.0


@dataclass(frozen=True, slots=True, eq=False)
class Vendor:
    """Connection details of a vendor. Fields named `..._setting` or `..._settings` are names of settings."""

    name: str  #: for log lines and errors
    base_url_setting: str
    #: Alternative credentials, each a set of settings that belong together.
    credential_settings: tuple[tuple[str, ...], ...]
    headers: Callable[[Config], Mapping[str, str]]  #: returns the headers with the credentials
    error_rules: tuple[ErrorRule, ...]  #: the first rule that matches an error applies
    per_second_setting: str
    per_minute_setting: str | None = None

    def is_configured(self, config: Config) -> bool:
        """Return whether the config has a credential."""
        return any(names[0] in config for names in self.credential_settings)

    def base_url(self, config: Config) -> str:
        """Return the base URL without a trailing slash."""
        return str(config[self.base_url_setting]).rstrip("/")

    def credential(self, config: Config) -> tuple[Any, ...]:
        """Return a value that is equal for configs with the same credential."""
        names = (name for names in self.credential_settings for name in names)
        return (self.base_url(config), *(config.get(name) for name in names))

    @property
    def required_settings(self) -> str:
        """The alternative sets of required settings, as text."""
        return ", or ".join(" and ".join(names) for names in self.credential_settings)


class Account:
    """Access to both vendors with one config. Clients are created on first use; discovery needs none."""

    def __init__(self, config: Config, shared_by: int | None = None, *, jitter: Jitter = full_jitter) -> None:
        """Store a config with defaults applied (see `validation.with_defaults`).

        `shared_by` is the number of processes that use the credentials at once; None: only this one.
        `jitter` chooses the waits between the attempts at a request.
        """
        self.config = config
        self._shared_by = shared_by
        self._jitter = jitter
        self._clients: dict[Vendor, Client] = {}

    @property
    def constants(self) -> dict[str, str]:
        """The columns that have the same value in all records: `account`, if it is set."""
        return {ACCOUNT: self.config[ACCOUNT]} if self.config.get(ACCOUNT) else {}

    @cached_property
    def settings(self) -> Settings:
        """The typed settings; the config must be valid by the time this is first used."""
        return Settings.from_config(self.config)

    def limit_waits(self) -> None:
        """Limit the timeout and the retries of requests, because a user waits for the result of a check.

        Call this before the first request.
        """
        seconds = _MAX_CHECK_SECONDS
        self.settings = replace(
            self.settings,
            request_timeout=min(seconds, self.settings.request_timeout),
            max_retry_seconds=min(seconds, self.settings.max_retry_seconds),
        )

    def client(self, vendor: Vendor) -> Client:
        """Return the client for a vendor. All streams of a credential share its rate limiter."""
        if vendor not in self._clients:
            self._clients[vendor] = self._new_client(vendor)
        return self._clients[vendor]

    def _new_client(self, vendor: Vendor) -> Client:
        config, settings = self.config, self.settings
        return Client(
            vendor=vendor.name,
            credentials=vendor.headers(config),
            error_rules=vendor.error_rules,
            rate_limiter=RateLimiter(
                per_second=config.get(vendor.per_second_setting),
                per_minute=config.get(vendor.per_minute_setting) if vendor.per_minute_setting else None,
                shared_by=self._shared_by,
            ),
            connections=max(settings.concurrency, settings.export_concurrency),
            timeout=settings.request_timeout,
            max_retry_seconds=settings.max_retry_seconds,
            jitter=self._jitter,
        )
