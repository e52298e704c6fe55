"""Checks of single settings that the JSON Schema cannot describe."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from tap_msghistory.planning import rereads
from tap_msghistory.timestamps import parse_datetime, parse_duration

_A_TIME = "an ISO 8601 date or time, for example 2024-01-31 or 2024-01-31T08:00:00+02:00"
_A_DURATION = "an ISO 8601 duration in weeks, days, hours, minutes or seconds, for example P7D or PT1H"
_REREADS = (
    'a list of ranges, for example [{"stream": "edna_history", "from": "2024-03-01", "to": "2024-03-02"}], '
    "or text, for example edna_history=2024-03-01/2024-03-02"
)
_A_KEY = "printable ASCII without leading or trailing spaces"
_A_URL = (
    "an https:// URL without credentials, query or fragment, for example https://example.com/api (http:// is "
    "only allowed for loopback, because keys are sent there)"
)


def _is_base_url(url: Any) -> bool:
    """Return whether keys can be sent to a URL."""
    text = str(url)
    if text != text.strip() or not is_secure_url(text):
        return False
    parts = urlsplit(text)
    return not (parts.username or parts.password or parts.query or parts.fragment)


def is_secure_url(url: str) -> bool:
    """Return whether requests to a URL are encrypted by TLS or sent to this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    return (parts.scheme == "https" and host != "") or (parts.scheme == "http" and _is_loopback(host))


def _is_loopback(host: str) -> bool:
    """Return whether a host, by name or address, is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_readable(read: Callable[[Any], Any], value: Any) -> bool:
    try:
        read(value)
    except Exception:  # noqa: BLE001 - any error means that the value is not valid
        return False
    return True


def _is_moment(value: Any) -> bool:
    return _is_readable(parse_datetime, value)


def _is_duration(value: Any) -> bool:
    return _is_readable(parse_duration, value)


def _are_ages(value: Any) -> bool:
    return isinstance(value, list) and all(
        _is_duration(age) and parse_duration(age) > timedelta(0) for age in value
    )


def _are_rereads(value: Any) -> bool:
    return _is_readable(rereads.parse, value)


def _is_key(value: Any) -> bool:
    """Return whether a value can be sent in a header; a line break from a file, for example, cannot."""
    return isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != "" and value == value.strip()


def _is_time_zone(value: Any) -> bool:
    return _is_readable(ZoneInfo, value)


def _has_no_empty_value(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_has_no_empty_value, value.values()))
    return value is not None and not (isinstance(value, str) and not value.strip())


#: By setting: whether a value is valid, and what is required.
VALUE_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "account": (_is_name, "text without leading or trailing spaces"),
    "start_date": (_is_moment, _A_TIME),
    "end_date": (_is_moment, _A_TIME),
    "revisit_after": (_are_ages, f"a list of ages above zero, each {_A_DURATION}"),
    "lookback": (_is_duration, _A_DURATION),
    "reread": (_are_rereads, _REREADS),
    "visibility_lag": (_is_duration, _A_DURATION),
    "edna_api_key": (_is_key, _A_KEY),
    "edna_base_url": (_is_base_url, _A_URL),
    "partner_gateway_api_key": (_is_key, _A_KEY),
    "partner_gateway_base_url": (_is_base_url, _A_URL),
    # Phone numbers hashed with an empty salt could be guessed.
    "stream_map_config": (_has_no_empty_value, "an object without empty values (an empty salt, for example)"),
    "assume_timezone": (_is_time_zone, "an IANA time zone, for example UTC or Europe/Rome"),
}
