"""The options of a read. Spark passes them all as text, regardless of their original type.

Errors are `TapError`s. They contain account names but no other values, which may be keys or addresses.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from tap_msghistory.config.account import Account
from tap_msghistory.config.interface import InterfaceSettings
from tap_msghistory.errors import TapError
from tap_msghistory.reading.source import HistorySource
from tap_msghistory.schemas import ACCOUNT
from tap_msghistory.timestamps import parse_duration
from tap_msghistory.vendors import SOURCES

#: Partitions per read. Two tasks can share the limits of one credential on any cluster.
_DEFAULT_PARTITIONS = 2
_READ_OPTIONS = ("stream", "accounts", "num_partitions", "rejected", "max_span_per_trigger")
_CREDENTIALS = [name for source in SOURCES for names in source.vendor.credential_settings for name in names]
_SETTINGS = InterfaceSettings(
    "Spark",
    suggestions=_READ_OPTIONS,
    maps="Use Spark's own functions",
    objects="Object columns are always JSON text",
    max_rejected='Set the option rejected to "fail" or "column"',
    path="Call load() without arguments",
)


class NamedAccount(NamedTuple):
    """One account's valid settings."""

    name: str | None  #: None if the option accounts is not used
    config: dict[str, Any]

    def source(self, source_type: type[HistorySource], shared_by: int) -> HistorySource:
        """Return the account's message history; `shared_by` processes use its credential at once.

        Raises `TapError` if the account has no credential for the vendor.
        """
        vendor = source_type.vendor
        if not vendor.is_configured(self.config):
            raise TapError(
                f"The stream {source_type.name} requires a credential of its vendor: "
                f"{vendor.required_settings}"
            )
        return source_type(Account(self.config, shared_by))


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The valid options of a read."""

    source_type: type[HistorySource]
    accounts: tuple[NamedAccount, ...]
    num_partitions: int
    rejected_column: bool  #: False: a rejected message makes the read fail
    max_span_per_trigger: timedelta | None

    @property
    def has_rereads(self) -> bool:
        """Whether the option reread is used."""
        return any("reread" in account.config for account in self.accounts)

    @classmethod
    def parse(cls, options: Mapping[str, str]) -> ReadOptions:
        """Parse and validate all options."""
        read_options = {name: options.get(name) for name in _READ_OPTIONS}
        shared = {name: value for name, value in options.items() if name not in _READ_OPTIONS}
        source_type = _source_type(read_options["stream"])
        return cls(
            source_type=source_type,
            accounts=_accounts(read_options["accounts"], shared, source_type),
            num_partitions=_num_partitions(read_options["num_partitions"]),
            rejected_column=_one_of("rejected", read_options["rejected"] or "fail", ("fail", "column"))
            == "column",
            max_span_per_trigger=_span(read_options["max_span_per_trigger"]),
        )


def _source_type(name: str | None) -> type[HistorySource]:
    by_name = {source.name: source for source in SOURCES}
    return by_name[_one_of("stream", name, tuple(by_name))]


def _one_of(option: str, value: str | None, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise TapError(f"Option {option} must be one of {', '.join(allowed)}")
    return value


def _num_partitions(text: str | None) -> int:
    number = int(text) if text and text.isdecimal() else 0 if text else _DEFAULT_PARTITIONS
    if number < 1:
        raise TapError("Option num_partitions must be an integer of at least 1")
    return number


def _span(text: str | None) -> timedelta | None:
    try:
        span = parse_duration(text) if text else None
    except ValueError:
        span = timedelta(0)
    if span is not None and span <= timedelta(0):
        raise TapError(
            "Option max_span_per_trigger must be an ISO 8601 duration above zero, for example P30D"
        )
    return span


def _accounts(
    text: str | None, shared: Mapping[str, str], source_type: type[HistorySource]
) -> tuple[NamedAccount, ...]:
    if not text:
        return (_account(None, shared, source_type),)
    entries = _parse(text)
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise TapError("Option accounts must be a list of objects, each with a name and credentials")
    entries = [{str(key).lower(): value for key, value in entry.items()} for entry in entries]
    names = [entry.get("name") for entry in entries]
    if not all(isinstance(name, str) and name for name in names) or len({*names}) < len(names):
        raise TapError("Option accounts: each account must have a unique name (a string)")
    accounts = []
    for entry in entries:
        name = entry.pop("name")
        try:
            accounts.append(_account(name, {**shared, **entry}, source_type))
        except TapError as error:
            raise TapError(f"Option accounts, {name}: {error}") from None
    return tuple(accounts)


def _account(name: str | None, options: Mapping[str, Any], source_type: type[HistorySource]) -> NamedAccount:
    account = NamedAccount(name, _valid_config({**options, ACCOUNT: name} if name else options))
    source = account.source(source_type, shared_by=1)  # raises an error if the credential is missing
    if any(range_.stream != source.name for range_ in source.account.settings.rereads):
        raise TapError(f"Option reread must contain only ranges of the stream {source.name}")
    return account


def _valid_config(options: Mapping[str, Any]) -> dict[str, Any]:
    _SETTINGS.check_names(options)
    known = _SETTINGS.properties
    lists = [name for name in options if name in known and "array" in known[name]["type"]]
    config = {**_credentials(options), **options, **{name: _parse(options[name]) for name in lists}}
    for name in lists:
        if not isinstance(config[name], list) and "string" not in known[name]["type"]:
            raise TapError(f'Option {name} must be a list of strings, for example ["a", "b"]')
    return _SETTINGS.resolve(config)


def _credentials(options: Mapping[str, Any]) -> dict[str, str]:
    """Return the credentials of the environment, under the tap's names, if the options have none.

    Only the driver's environment is used: readers pass credentials to the tasks.
    """
    if any(name in options for name in _CREDENTIALS):
        return {}
    variables = {name: f"TAP_MSGHISTORY_{name.upper()}" for name in _CREDENTIALS}
    return {name: os.environ[variable] for name, variable in variables.items() if variable in os.environ}


def _parse(value: Any) -> Any:
    """Parse JSON, or the text that Python's str() returns for a list or tuple, as Spark passes them."""
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        return [*found] if isinstance(found, tuple) else found
    return value
