"""What to do about an answer: use it, wait and ask again, or stop. A pure decision; others wait."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import backoff
import msgspec

from tap_msghistory.reading.endpoint import Complaint

#: Tries of one request, the first included: a bound beyond what the other budget, total time (a setting),
#: lets happen with its default.
MAX_TRIES = 100
#: A reset that is given in seconds since 1970.
_EPOCH = 10.0**9
_LONGEST_BACKOFF = 60.0  # seconds
_JITTER = 1.0  # seconds, on top of a wait that the server asks for
#: A wait that is longer is not meant, or will never be waited for.
_LONGEST_WAIT = 10.0**9  # seconds
_SECONDS = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, its body whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Use:
    """The answer is a success."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Ask again, `not_before` seconds from now at the earliest.

    Nobody with the same credential is to ask before either where that `is_too_much` for the server.
    """

    why: str
    not_before: float = 0.0
    is_too_much: bool = False
    is_refusal: bool = False  #: the request had no effect


@dataclass(frozen=True, slots=True)
class Stop:
    """No further try can help."""

    why: str
    status: int | None = None


def judge(
    answer: Answer,
    complaints: tuple[Complaint, ...],
    now: datetime,
    success: frozenset[int] = frozenset({HTTPStatus.OK}),
) -> Use | Retry | Stop:
    """Decide by status, headers and the vendor's documented errors."""
    if answer.status in success:
        return Use()
    is_too_many = answer.status == HTTPStatus.TOO_MANY_REQUESTS
    if is_too_many or answer.status == HTTPStatus.REQUEST_TIMEOUT or answer.status >= 500:  # noqa: PLR2004
        # Only a 429 says that there are too many requests: others make one of them wait.
        wait = asked_wait(answer, now)
        return Retry(f"status {answer.status}", wait, is_too_much=is_too_many, is_refusal=is_too_many)
    if 300 <= answer.status < 400:  # noqa: PLR2004
        return Stop(f"status {answer.status}, a redirect, is not followed: check the base URL", answer.status)
    for complaint in complaints:
        if complaint.status == answer.status and complaint.code.encode() in answer.body:
            what = f"{answer.status} {complaint.code}".strip()
            return Stop(f"status {what}: {complaint.advice}", answer.status)
    return Stop(f"status {answer.status}", answer.status)


def asked_wait(answer: Answer, now: datetime) -> float:
    """Return the seconds that the server asks to wait: `Retry-After` (seconds or a date) or `retryAfter`.

    `retryAfter` is what the partner gateway's guide on rate limits puts into the body of a 429. The
    longest counts; 0 where nothing readable is asked for.
    """
    wait = max(_header_wait(answer.headers, now), _body_wait(answer.body), 0.0)
    return min(wait, _LONGEST_WAIT) if math.isfinite(wait) else 0.0


def allowance(headers: Mapping[str, str], now: datetime) -> tuple[float, float, float | None] | None:
    """Return the requests that are left, their limit, and the seconds until that is reset, if given.

    None where a response does not say, or says that there is no limit.
    """
    remaining, limit = (_number(headers.get(f"X-RateLimit-{name}")) for name in ("Remaining", "Limit"))
    if remaining is None or limit is None or limit <= 0:
        return None
    reset = _number(headers.get("X-RateLimit-Reset") or headers.get("RateLimit-Reset"))
    if reset is not None and reset > _EPOCH:
        reset = max(reset - now.timestamp(), 0.0)
    return remaining, limit, reset


def _number(text: str | None) -> float | None:
    return float(text) if text and _SECONDS.fullmatch(text.strip()) else None


def delay(tries: int, not_before: float) -> float:
    """Return the seconds to wait after the `tries`-th try: `not_before` plus jitter.

    Where the server asks for no wait, the jitter grows exponentially.
    """
    longest = _JITTER if not_before else min(2.0 ** (tries - 1), _LONGEST_BACKOFF)
    return not_before + backoff.full_jitter(longest)


def budget_left(tries: int, waited_to: float, max_seconds: float) -> bool:
    """Return whether another try, `waited_to` seconds after the first, is within both budgets."""
    return tries < MAX_TRIES and waited_to <= max_seconds


def was_suspended(elapsed: float, accounted: float, max_seconds: float) -> bool:
    """Return whether a process stood still for more than the budget: `accounted` seconds explain less.

    `accounted` are waits and, for each try, the longest that it may take.
    """
    return elapsed - accounted > max_seconds


def _header_wait(headers: Mapping[str, str], now: datetime) -> float:
    asked = headers.get("Retry-After", "").strip()
    # Repeated headers are joined with commas.
    seconds = [float(part) for part in map(str.strip, asked.split(",")) if _SECONDS.fullmatch(part)]
    if seconds:
        return max(seconds)
    moment = http_date(asked)
    if moment is None:
        return 0.0
    # The server's clock and this one may differ; the longer wait is right by both.
    clocks = (now, http_date(headers.get("Date", "")) or now)
    return max((moment - clock).total_seconds() for clock in clocks)


def http_date(text: str) -> datetime | None:
    """Return the moment of an HTTP date; None for anything else."""
    try:
        moment = parsedate_to_datetime(text).replace(microsecond=0)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, TypeError, OverflowError):
        return None


def _body_wait(body: bytes) -> float:
    try:
        answer: Any = msgspec.json.decode(body)
        return float(answer["retryAfter"])
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
