"""What the options of a read say. They come as text, whatever the user has given: Spark makes it so.

Raises `TapError`, which shows no value: that may be a key or an address.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from tap_msghistory import vendors as histories
from tap_msghistory.config import validation as checks
from tap_msghistory.config.account import Account
from tap_msghistory.config.settings import SETTINGS
from tap_msghistory.errors import TapError
from tap_msghistory.timestamps import setting_to_duration
from tap_msghistory.vendors import MessageHistory

#: Partitions of a read: with one credential two tasks have its limits to themselves, on any cluster.
_DEFAULT_TASKS = 2
_OWN = ("stream", "accounts", "tasks", "rejected", "max_span_per_trigger")
_CREDENTIALS = [
    name for name in SETTINGS["properties"] if name.endswith(("_api_key", "_username", "_password"))
]
#: Settings of the tap that would be without effect, and what does it here.
_ELSEWHERE = {
    "max_rejected": "Set the option rejected: fail, or column",
    **dict.fromkeys(
        ("stream_maps", "stream_map_config", "faker_config", "flattening_enabled", "flattening_max_depth"),
        "Do it with Spark's own functions",
    ),
    "batch_config": "There are no Singer messages",
    "path": "Call load() without arguments",
}


class NamedAccount(NamedTuple):
    """One account's checked settings."""

    name: str | None  #: None where the option accounts is not used
    config: dict[str, Any]

    def history(self, stream: str, sharers: int) -> MessageHistory:
        """Return what is read of it, by one of so many processes that share its credential."""
        config = {**self.config, "partner_gateway_export": True}
        found = {history.name: history for history in histories.of_account(Account(config, sharers))}
        if stream not in found:
            needed = (
                "edna_api_key"
                if stream.startswith("edna")
                else "partner_gateway_api_key, or partner_gateway_username and partner_gateway_password"
            )
            raise TapError(f"The stream {stream} needs a credential of its vendor: {needed}")
        return found[stream]

    def credential(self, stream: str) -> tuple[Any, ...]:
        """Return what tells the credential that a stream is read with from others."""
        vendor = stream.partition("_history")[0]
        url, *others = (self.config.get(f"{vendor}_{it}") for it in ("base_url", "api_key", "username"))
        return (str(url).rstrip("/"), *others)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The options of a read, checked."""

    stream: str
    schema: Mapping[str, Any]
    accounts: tuple[NamedAccount, ...]
    tasks: int
    rejected_column: bool  #: False: a rejected message makes the read fail
    max_span_per_trigger: timedelta | None

    @property
    def has_accounts(self) -> bool:
        """Whether accounts are told apart by name."""
        return self.accounts[0].name is not None

    @classmethod
    def parse(cls, options: Mapping[str, str]) -> ReadOptions:
        """Read and check all options."""
        own = {name: options.get(name) for name in _OWN}
        shared = {name: value for name, value in options.items() if name not in _OWN}
        stream, schema = _stream(own["stream"])
        accounts = _accounts(own["accounts"], shared, stream)
        return cls(
            stream=stream,
            schema=schema,
            accounts=accounts,
            tasks=_tasks(own["tasks"]),
            rejected_column=_one_of("rejected", own["rejected"] or "fail", ("fail", "column")) == "column",
            max_span_per_trigger=_span(own["max_span_per_trigger"]),
        )


def _stream(name: str | None) -> tuple[str, Mapping[str, Any]]:
    schemas = histories.schemas()
    name = _one_of("stream", name, tuple(schemas))
    return name, schemas[name]


def _one_of(option: str, value: str | None, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise TapError(f"Option {option} must be one of {', '.join(allowed)}")
    return value


def _tasks(text: str | None) -> int:
    tasks = int(text) if text and text.isdecimal() else 0 if text else _DEFAULT_TASKS
    if tasks < 1:
        raise TapError("Option tasks must be a whole number of at least 1")
    return tasks


def _span(text: str | None) -> timedelta | None:
    try:
        span = setting_to_duration(text) if text else None
    except ValueError:
        span = timedelta(0)
    if span is not None and span <= timedelta(0):
        raise TapError("Option max_span_per_trigger must be an ISO 8601 duration above zero, such as P30D")
    return span


def _accounts(text: str | None, shared: Mapping[str, str], stream: str) -> tuple[NamedAccount, ...]:
    if not text:
        return (_account(None, shared, stream),)
    entries = _structure(text)
    if not isinstance(entries, list) or not entries or not all(isinstance(it, dict) for it in entries):
        raise TapError("Option accounts must be a list of objects, each with a name and credentials")
    entries = [{str(key).lower(): value for key, value in it.items()} for it in entries]
    names = [it.get("name") for it in entries]
    if not all(isinstance(it, str) and it for it in names) or len({*names}) < len(names):
        raise TapError("Option accounts: each account must have a name of its own, a string")
    accounts = []
    for entry in entries:
        name = entry.pop("name")
        try:
            accounts.append(_account(name, {**shared, **entry}, stream))
        except TapError as error:
            raise TapError(f"Option accounts, {name}: {error}") from None
    return tuple(accounts)


def _account(name: str | None, options: Mapping[str, Any], stream: str) -> NamedAccount:
    account = NamedAccount(name, _checked(options))
    account.history(stream, sharers=1)  # finds out whether there is a credential
    return account


def _checked(options: Mapping[str, Any]) -> dict[str, Any]:
    known = SETTINGS["properties"]
    for name in options:
        if name in _ELSEWHERE:
            raise TapError(f"Option {name} has no effect in Spark. {_ELSEWHERE[name]}")
        if name not in known:
            raise TapError(f"Option {name} is not known{checks.hint(name, [*known, *_OWN])}")
    lists = [name for name in options if "array" in known[name]["type"]]
    config = {**_credentials(options), **options, **{name: _structure(options[name]) for name in lists}}
    for name in lists:
        if not isinstance(config[name], list):
            raise TapError(f'Option {name} must be a list of strings, such as ["a", "b"]')
    config = checks.normalized(config, SETTINGS)
    if problems := checks.problems(config, SETTINGS):
        raise TapError("; ".join(problems))
    return config


def _credentials(options: Mapping[str, Any]) -> dict[str, str]:
    """Return those that the environment has, by the tap's names, where the options have none.

    Only the driver's: readers take them along to tasks.
    """
    if any(name in options for name in _CREDENTIALS):
        return {}
    variables = {name: f"TAP_MSGHISTORY_{name.upper()}" for name in _CREDENTIALS}
    return {name: os.environ[it] for name, it in variables.items() if it in os.environ}


def _structure(value: Any) -> Any:
    """Read JSON, or what Python's str() makes of a list or tuple: so do Spark's options."""
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        return [*found] if isinstance(found, tuple) else found
    return value
