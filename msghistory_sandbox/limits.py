"""The rate limit of a key, and the answer to those who go over it."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from typing import Literal, NamedTuple

from msghistory_sandbox.answers import Answer, refusal

RetryAfter = Literal["seconds", "date", "body", "none"]
"""Where a 429 says how long to wait. The gateway's page has it in the body."""

MINUTE_S = 60.0


class Allowance(NamedTuple):
    """Whether a request may be served, what is left of the minute, and else how long to wait."""

    allowed: bool
    remaining: int
    wait_s: float


class RateLimit:
    """Sliding windows of a minute and of a second; only requests that were let through count."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing used; `now` gives seconds."""
        self._now = now
        self._served: deque[float] = deque()

    def take(self, per_minute: int | None, per_second: int | None) -> Allowance:
        """Let a request through, or not; None or 0 is no limit."""
        now = self._now()
        while self._served and self._served[0] <= now - MINUTE_S:
            self._served.popleft()
        wait_s = max(self._wait(now, per_minute, MINUTE_S), self._wait(now, per_second, 1.0))
        if not wait_s:
            self._served.append(now)
        remaining = max(0, per_minute - len(self._served)) if per_minute else 0
        return Allowance(allowed=not wait_s, remaining=remaining, wait_s=wait_s)

    def _wait(self, now: float, limit: int | None, period_s: float) -> float:
        if not limit or len(self._served) < limit:
            return 0.0
        return max(0.0, self._served[-limit] + period_s - now)


def too_many_requests(style: RetryAfter, wait_s: float) -> Answer:
    """Build a 429 in the style of the gateway's page, or of other servers. Whole seconds."""
    seconds = max(1, math.ceil(wait_s))
    answer = refusal(429, "Rate limit exceeded")
    if style == "seconds":
        return answer._replace(headers={"Retry-After": str(seconds)})
    if style == "date":
        # A date has no fraction: one second more, or it would be over before the wait is.
        until = formatdate(time.time() + seconds + 1, usegmt=True)
        return answer._replace(headers={"Retry-After": until})
    if style == "body":
        answer.body["retryAfter"] = seconds
    return answer
