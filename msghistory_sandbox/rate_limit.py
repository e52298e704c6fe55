"""The rate limit of one credential, and the 429 response to requests that exceed it."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from typing import Literal, NamedTuple

from msghistory_sandbox.responses import ApiResponse, error_response

RetryAfterStyle = Literal["seconds", "date", "body", "none"]
"""Location of the wait time in a 429 response. The gateway documents it in the body."""

MINUTE_S = 60.0


class Allowance(NamedTuple):
    """Whether a request is allowed, the requests remaining in the minute, and the wait if it is denied."""

    allowed: bool
    remaining: int
    wait_s: float


class RateLimiter:
    """Sliding windows of one minute and one second; `now` returns seconds. Only allowed requests count."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._allowed_at: deque[float] = deque()

    def acquire(self, per_minute: int | None, per_second: int | None) -> Allowance:
        """Allow or deny a request; None or 0 means unlimited."""
        now = self._now()
        while self._allowed_at and self._allowed_at[0] <= now - MINUTE_S:
            self._allowed_at.popleft()
        wait_s = max(self._wait(now, per_minute, MINUTE_S), self._wait(now, per_second, 1.0))
        if not wait_s:
            self._allowed_at.append(now)
        remaining = max(0, per_minute - len(self._allowed_at)) if per_minute else 0
        return Allowance(allowed=not wait_s, remaining=remaining, wait_s=wait_s)

    def _wait(self, now: float, limit: int | None, period_s: float) -> float:
        if not limit or len(self._allowed_at) < limit:
            return 0.0
        return max(0.0, self._allowed_at[-limit] + period_s - now)


def too_many_requests(style: RetryAfterStyle, wait_s: float) -> ApiResponse:
    """Build a 429 response; the wait is rounded up to whole seconds."""
    seconds = max(1, math.ceil(wait_s))
    response = error_response(429, "Rate limit exceeded")
    if style == "seconds":
        return response._replace(headers={"Retry-After": str(seconds)})
    if style == "date":
        # An HTTP date has no fraction; without the extra second it could precede the end of the wait.
        until = formatdate(time.time() + seconds + 1, usegmt=True)
        return response._replace(headers={"Retry-After": until})
    if style == "body":
        response.body["retryAfter"] = seconds
    return response
