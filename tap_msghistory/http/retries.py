"""Classifies responses as success, retry or failure. Pure: the client does the waiting."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import msgspec
from backoff import full_jitter
from urllib3 import BaseHTTPResponse

from tap_msghistory.http.request import ErrorRule

#: Attempts at one request, including the first. The budget of total time (a setting) usually ends first.
MAX_ATTEMPTS = 100
#: A rate limit reset above this is a Unix timestamp, not a duration.
_MIN_TIMESTAMP = 10.0**9  # seconds
_MIN_TIMESTAMP_MS = 10.0**12
_MAX_BACKOFF = 60.0  # seconds
_JITTER_SECONDS = 1.0  # seconds, added to a wait that the server requests
_MAX_RETRY_AFTER = 10.0**9  # seconds; larger values are treated as this
_SECONDS = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)

#: Chooses a wait between 0 and its argument, both in seconds.
Jitter = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Success:
    """The response is a success."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Send the request again, `retry_after` seconds from now at the earliest.

    Other requests with the same credential wait too if `rate_limited`.
    """

    reason: str
    retry_after: float = 0.0  #: seconds
    rate_limited: bool = False
    without_effect: bool = False  #: the server is known not to have processed the request


@dataclass(frozen=True, slots=True)
class Fail:
    """No retry can help."""

    reason: str
    status: int | None = None


def classify_response(
    response: BaseHTTPResponse,
    error_rules: tuple[ErrorRule, ...],
    now: datetime,
    success: frozenset[int] = frozenset({HTTPStatus.OK}),
) -> Success | Retry | Fail:
    """Classify by status, headers, and the error codes in the body."""
    status = response.status
    if status in success:
        return Success()
    rate_limited = status == HTTPStatus.TOO_MANY_REQUESTS
    if rate_limited or status == HTTPStatus.REQUEST_TIMEOUT or status >= 500:  # noqa: PLR2004
        # Only a 429 concerns all requests with the credential. Other statuses delay this request alone.
        return Retry(
            f"status {status}",
            retry_after_seconds(response, now),
            rate_limited=rate_limited,
            without_effect=rate_limited,
        )
    if 300 <= status < 400:  # noqa: PLR2004
        return Fail(f"status {status}: redirects are not followed; check the base URL", status)
    for rule in error_rules:
        if rule.status == status and rule.code.encode() in response.data:
            return Fail(f"status {f'{status} {rule.code}'.strip()}: {rule.advice}", status)
    return Fail(f"status {status}", status)


def retry_after_seconds(response: BaseHTTPResponse, now: datetime) -> float:
    """Return the wait that a response requests, in seconds: the longest of those given, by default 0.

    A response can request it with the header `Retry-After` (seconds or a date), or with `retryAfter` in its
    body (source: the partner gateway's guide on rate limits).
    """
    wait = max(_header_wait(response.headers, now), _body_wait(response.data), 0.0)
    return min(wait, _MAX_RETRY_AFTER) if math.isfinite(wait) else 0.0


def remaining_requests(headers: Mapping[str, str], now: datetime) -> tuple[float, float, float | None] | None:
    """Return the requests left in the current period, their limit, and the seconds until the reset.

    The reset is None if it is not given. Returns None if the headers are missing or there is no limit.
    """
    remaining, limit = (_number(headers.get(f"X-RateLimit-{name}")) for name in ("Remaining", "Limit"))
    if remaining is None or limit is None or limit <= 0:
        return None
    reset = _number(headers.get("X-RateLimit-Reset") or headers.get("RateLimit-Reset"))
    if reset is not None and reset > _MIN_TIMESTAMP:
        seconds = reset / 1000 if reset > _MIN_TIMESTAMP_MS else reset
        reset = max(seconds - now.timestamp(), 0.0)
    return remaining, limit, reset


def backoff_delay(attempts: int, retry_after: float, jitter: Jitter = full_jitter) -> float:
    """Return the seconds to wait after the given number of attempts: `retry_after` plus jitter.

    The default jitter is uniform. Without `retry_after`, it is between 0 and min(2**(attempts - 1), 60).
    """
    longest = _JITTER_SECONDS if retry_after else min(2.0 ** (attempts - 1), _MAX_BACKOFF)
    return retry_after + jitter(longest)


def within_retry_budget(attempts: int, elapsed: float, max_seconds: float) -> bool:
    """Return whether another attempt, `elapsed` seconds after the first, is within both budgets."""
    return attempts < MAX_ATTEMPTS and elapsed <= max_seconds


def was_suspended(elapsed: float, accounted: float, max_seconds: float) -> bool:
    """Return whether the process was suspended for longer than the retry budget, for example by sleep.

    `accounted` is the expected maximum, in seconds: all waits, and the timeout of each attempt.
    """
    return elapsed - accounted > max_seconds


def http_date(text: str) -> datetime | None:
    """Return the time of an HTTP date, in UTC; None for anything else."""
    try:
        moment = parsedate_to_datetime(text).replace(microsecond=0)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, TypeError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    return float(text) if text and _SECONDS.fullmatch(text.strip()) else None


def _header_wait(headers: Mapping[str, str], now: datetime) -> float:
    value = headers.get("Retry-After", "").strip()
    # Repeated headers are joined with commas.
    seconds = [float(part) for part in map(str.strip, value.split(",")) if _SECONDS.fullmatch(part)]
    if seconds:
        return max(seconds)
    moment = http_date(value)
    if moment is None:
        return 0.0
    # The clocks of the server and of this machine may differ. The longer wait is long enough by either
    # clock.
    clocks = (now, http_date(headers.get("Date", "")) or now)
    return max((moment - clock).total_seconds() for clock in clocks)


def _body_wait(body: bytes) -> float:
    try:
        content: Any = msgspec.json.decode(body)
        return float(content["retryAfter"])
    except (
        msgspec.DecodeError,
        UnicodeDecodeError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
    ):
        return 0.0
