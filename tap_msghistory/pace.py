"""One pace a credential: no more requests than the vendor allows, however many threads ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import cast

from pyrate_limiter import InMemoryBucket, Rate, RateItem

# A server that says "too many" although the settings' limits are kept is asked more slowly: requests are
# spaced, twice as far at each such answer, and a little closer again at each success.
_FIRST_SPACING = 0.05  # seconds
_SPACING_GROWTH = 2.0
_SPACING_DECAY = 0.97
_NO_SPACING = 0.001


class Pace:
    """Requests a second and a minute, counted over sliding windows (None: no limit), and slowing down."""

    def __init__(
        self,
        *,
        per_second: float | None = None,
        per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing sent. `clock` counts seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._bucket = _bucket(per_second, per_minute)
        self._resume_at = 0.0
        self._last_sent_at = 0.0
        self._spacing = 0.0

    def reserve(self) -> float:
        """Take a place in the pace and return 0, or return the seconds until there may be one."""
        with self._lock:
            now = self._clock()
            wait = max(self._resume_at, self._last_sent_at + self._spacing) - now
            if wait <= 0:
                wait = self._limit(now)
            if wait <= 0:
                self._last_sent_at = now
            return max(wait, 0.0)

    def slow_down(self, sent_at: float, seconds: float) -> None:
        """Let nobody send for `seconds`, and space requests: the one sent at `sent_at` was too many.

        Further ones that were on their way by then are the same event.
        """
        with self._lock:
            if sent_at >= self._resume_at:
                self._spacing = max(self._spacing * _SPACING_GROWTH, _FIRST_SPACING)
            self._resume_at = max(self._resume_at, self._clock() + seconds)

    def speed_up(self) -> None:
        """Space requests a little less: one has succeeded."""
        with self._lock:
            self._spacing *= _SPACING_DECAY
            if self._spacing < _NO_SPACING:
                self._spacing = 0.0

    def _limit(self, now: float) -> float:
        if self._bucket is None:
            return 0.0
        milliseconds = int(now * 1_000)
        self._bucket.leak(milliseconds)
        item = RateItem("request", milliseconds)
        return 0.0 if self._bucket.put(item) else cast("int", self._bucket.waiting(item)) / 1_000


def _bucket(per_second: float | None, per_minute: float | None) -> InMemoryBucket | None:
    """Return the limiter's book-keeping; it never sleeps."""
    if per_second and per_minute:
        # The limiter refuses a limit that another one implies.
        if per_minute >= 60 * per_second:
            per_minute = None
        elif per_second >= per_minute:
            per_second = None
    # It counts whole requests: half a request a second is one in two seconds.
    rates = [
        Rate(max(int(limit), 1), round(milliseconds * max(int(limit), 1) / limit))
        for milliseconds, limit in ((1_000, per_second), (60_000, per_minute))
        if limit
    ]
    return InMemoryBucket(rates) if rates else None
