"""Injected faults: their options, and the choice of the fault for each request."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

from msghistory_sandbox.options import option
from msghistory_sandbox.rate_limit import RetryAfterStyle

T = TypeVar("T")

Fault = Literal["error", "limit", "force", "redirect", "drop", "truncate", "html", "malformed"]


@dataclass(slots=True)
class Faults:
    """Fault options; no faults by default. Can be changed while the sandbox is running.

    Rates are fractions of all requests, 0 to 1; at most one fault applies to a request. `fail_next` and
    `limit_next` count down.
    """

    latency_ms: float = option(0.0, "delay before each response, in ms")
    offset_cost_ms: float = option(0.0, "additional delay per 1000 skipped rows, in ms")
    error_rate: float = option(0.0, "share of requests that get a 500")
    drop_rate: float = option(0.0, "share of requests whose connection is reset without a response")
    truncate_rate: float = option(0.0, "share of responses whose body ends halfway")
    html_rate: float = option(0.0, "share of requests that get a 200 with an HTML page")
    malformed_rate: float = option(0.0, "share of requests that get a 200 with JSON of an unexpected shape")
    fail_next: int = option(0, "number of upcoming requests that get a 500")
    limit_next: int = option(0, "number of upcoming requests that get a 429")
    limit_wait_s: float = option(1.0, "wait time in these 429 responses, in seconds")
    retry_after: RetryAfterStyle = option(  # noqa: RUF009 - strings are immutable
        "body",
        "location of the wait time in all 429 responses",
        choices=get_args(RetryAfterStyle),
    )
    force_status: int | None = option(
        None, "respond to every request with this error status, for example 401 or 403", kind=int
    )
    redirect_to: str | None = option(
        None, "redirect every request (307) to this URL, with the path appended", kind=str
    )
    page_cap: int | None = option(None, "maximum rows per page, applied silently", kind=int)
    page_cap_skip: Literal["asked", "capped"] = option(
        "capped",
        "with a page cap, the page size from which the gateway calculates the rows to skip",
        choices=("asked", "capped"),
    )
    endless: Literal["repeat", "empty"] | None = option(
        None,
        "hasNext is always true; after the end, the last page is repeated or pages are empty "
        "(the gateway supports only repeat)",
        choices=("repeat", "empty"),
    )
    unstable_ties: bool = option(
        False,
        "edna: rows with equal sort keys change their order with each request",
    )
    seed: int = 0
    """Seed of `chance`."""
    chance: random.Random = field(init=False, repr=False)
    """Random number generator for the rates and for `unstable_ties`."""

    def __post_init__(self) -> None:
        """Seed the random number generator."""
        self.chance = random.Random(self.seed)

    def decide(self) -> Fault | None:
        """Choose the fault of the next request."""
        if self.fail_next > 0:
            self.fail_next -= 1
            return "error"
        if self.limit_next > 0:
            self.limit_next -= 1
            return "limit"
        if self.force_status is not None:
            return "force"
        if self.redirect_to is not None:
            return "redirect"
        draw = self.chance.random()
        rates: tuple[tuple[Fault, float], ...] = (
            ("error", self.error_rate),
            ("drop", self.drop_rate),
            ("truncate", self.truncate_rate),
            ("html", self.html_rate),
            ("malformed", self.malformed_rate),
        )
        for fault, rate in rates:
            if draw < rate:
                return fault
            draw -= rate
        return None

    async def delay(self, offset: int) -> None:
        """Wait for the latency of a page at this offset."""
        wait_ms = self.latency_ms + self.offset_cost_ms * offset / 1000
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1000)

    def cap(self, limit: int) -> int:
        """Apply the page cap to a requested limit."""
        return limit if self.page_cap is None else min(limit, self.page_cap)

    def page(self, rows: Sequence[T], start: int, limit: int) -> tuple[Sequence[T], bool]:
        """Return one page of a result, and whether the response reports further pages."""
        limit = self.cap(limit)
        if self.endless == "repeat":
            start = min(start, max(0, len(rows) - limit))
        has_next = self.endless is not None or start + limit < len(rows)
        return rows[start : start + limit], has_next
