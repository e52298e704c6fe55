"""Misbehaviour on order: what can go wrong, and the middleware that lets it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

from msghistory_sandbox.limits import RetryAfter
from msghistory_sandbox.options import option

T = TypeVar("T")

Fault = Literal["error", "limit", "force", "redirect", "drop", "truncate", "html", "malformed"]


@dataclass(slots=True)
class Faults:
    """All faults, none by default. May be changed while the sandbox runs.

    Rates are shares of all requests, 0 to 1; a request meets at most one of them. `fail_next`
    and `limit_next` count down.
    """

    latency_ms: float = option(0.0, "wait this long before each answer")
    offset_cost_ms: float = option(0.0, "wait this much longer for each 1000 rows skipped")
    error_rate: float = option(0.0, "share of requests answered 500")
    drop_rate: float = option(0.0, "share of requests whose connection is reset, unanswered")
    truncate_rate: float = option(0.0, "share of answers whose body ends half way")
    html_rate: float = option(0.0, "share of requests answered 200 with an HTML page")
    malformed_rate: float = option(0.0, "share of requests answered 200 with JSON of another shape")
    fail_next: int = option(0, "answer the first (next) so many requests with 500")
    limit_next: int = option(0, "answer the first (next) so many requests with 429")
    limit_wait_s: float = option(1.0, "the wait, in seconds, that these 429 ask for")
    retry_after: RetryAfter = option(  # noqa: RUF009 - a text is immutable
        "body",
        "where every 429 says how long to wait",
        choices=get_args(RetryAfter),
    )
    force_status: int | None = option(None, "answer every request with this status: 401, 403 ...", kind=int)
    redirect_to: str | None = option(None, "redirect (307) to this URL, path appended", kind=str)
    page_cap: int | None = option(None, "never give more rows a page, and do not say so", kind=int)
    page_cap_skip: Literal["asked", "capped"] = option(
        "capped",
        "with a cap, the limit from which the gateway counts the rows to skip",
        choices=("asked", "capped"),
    )
    endless: Literal["repeat", "empty"] | None = option(
        None,
        "hasNext is always true, after the end the last page repeats or is empty; "
        "on the gateway, repeat only",
        choices=("repeat", "empty"),
    )
    unstable_ties: bool = option(
        False,
        "edna: rows that the sort leaves equal come in another order at each request",
    )
    seed: int = 0
    """Of the chances."""
    chance: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the chances repeatable."""
        self.chance = random.Random(self.seed)

    def decide(self) -> Fault | None:
        """Choose the fate of the next request."""
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
        """Wait as long as a page at this offset is to cost."""
        wait_ms = self.latency_ms + self.offset_cost_ms * offset / 1000
        if wait_ms > 0:
            await asyncio.sleep(wait_ms / 1000)

    def cap(self, limit: int) -> int:
        """Lower an asked limit to the silent one."""
        return limit if self.page_cap is None else min(limit, self.page_cap)

    def page(self, rows: Sequence[T], start: int, limit: int) -> tuple[Sequence[T], bool]:
        """Cut a page out of a result; whether there is more, or so it is said."""
        limit = self.cap(limit)
        if self.endless == "repeat":
            start = min(start, max(0, len(rows) - limit))
        more = self.endless is not None or start + limit < len(rows)
        return rows[start : start + limit], more
