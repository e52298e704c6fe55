"""A rate limiter for all requests with one credential, shared by all threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

# If a server limits requests more strictly than the settings, requests are spaced: the spacing doubles with
# each 429 and shrinks with each success. After a short burst of 429s, full speed returns within seconds.
_FIRST_SPACING = 0.05  # seconds
_MAX_SPACING = 1.0
_SPACING_GROWTH = 2.0
_SPACING_DECAY = 0.85
_NO_SPACING = 0.001
_MINUTE = 60.0  # seconds
_MAX_RESET = 3600.0
#: Requests sent at even intervals arrive at slightly uneven intervals.
_INTERVAL_MARGIN = 1.02


class RateLimiter:
    """Limits requests per second and per minute over sliding windows, and slows down after a 429."""

    def __init__(
        self,
        *,
        per_second: float | None = None,
        per_minute: float | None = None,
        shared_by: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set the limits (None: unlimited). `clock` returns seconds.

        `shared_by` is the number of processes that use the credential at once without coordination (None:
        only this one). Each then sends at even intervals, starting after a whole interval, so that no
        period exceeds the limits, not even one that includes requests of an earlier process.
        """
        self._clock = clock
        self._lock = threading.Lock()
        limits = [(count, seconds) for count, seconds in ((per_second, 1.0), (per_minute, _MINUTE)) if count]
        #: Maximum number of processes among which the limits can be divided; None: unlimited.
        self.max_processes = min((max(int(count), 1) for count, _ in limits), default=None)
        if shared_by is None:
            self._limits = [_Limit(count, seconds) for count, seconds in limits]
        else:
            self._limits = [_Limit(1, _interval(count, seconds, shared_by)) for count, seconds in limits]
            for limit in self._limits:
                limit.count(clock())
        self._has_minute_limit = per_minute is not None
        self._sent: deque[float] = deque()  # within the last minute
        self._remaining: float | None = None
        self._period_start = 0.0  # when `remaining` last rose
        self._resume_at = 0.0
        self._last_sent_at = 0.0
        self._spacing = 0.0

    @property
    def per_second(self) -> float | None:
        """The sustained number of requests per second; None: unlimited."""
        return min((limit.per_second for limit in self._limits), default=None)

    def reserve(self) -> float:
        """Reserve a request and return 0, or return the seconds until one may be available."""
        with self._lock:
            now = self._clock()
            wait = max(
                self._resume_at - now,
                self._last_sent_at + self._spacing - now,
                *(limit.wait(now) for limit in self._limits),
                0.0,
            )
            if wait == 0.0:
                self._last_sent_at = now
                self._sent.append(now)
                while self._sent[0] <= now - _MINUTE:
                    self._sent.popleft()
                for limit in self._limits:
                    limit.count(now)
            return wait

    def slow_down(self, sent_at: float, seconds: float) -> float:
        """Block requests for `seconds` and space later ones: the request sent at `sent_at` exceeded a limit.

        Requests that were already under way count as the same event. Returns the seconds until the next
        request may be sent.
        """
        with self._lock:
            if sent_at >= self._resume_at:
                self._spacing = min(max(self._spacing * _SPACING_GROWTH, _FIRST_SPACING), _MAX_SPACING)
            now = self._clock()
            self._resume_at = max(self._resume_at, now + seconds)
            return max(self._resume_at, self._last_sent_at + self._spacing) - now

    def note_remaining(self, remaining: float, limit: float, reset: float | None = None) -> None:
        """Record how many requests remain. If none remain, block requests until the period ends, if known.

        `reset` is the time until then in seconds, if the server returns it. Otherwise, with a limit per
        minute, the period is assumed to start with this process's oldest request of the last minute, or when
        `remaining` last rose by more than half of `limit`, whichever is later. A sliding limit frees its
        first request at that time too.
        """
        with self._lock:
            now = self._clock()
            if self._remaining is not None and remaining - self._remaining > limit / 2:
                self._period_start = now
            self._remaining = remaining
            if remaining > 0:
                return
            if reset is not None:
                self._resume_at = max(self._resume_at, now + min(reset, _MAX_RESET))
            elif self._has_minute_limit:
                oldest = next((sent_at for sent_at in self._sent if sent_at > now - _MINUTE), now)
                self._resume_at = max(self._resume_at, max(oldest, self._period_start) + _MINUTE)

    def speed_up(self) -> None:
        """Reduce the spacing after a success."""
        with self._lock:
            self._spacing *= _SPACING_DECAY
            if self._spacing < _NO_SPACING:
                self._spacing = 0.0


def _interval(count: float, seconds: float, shared_by: int) -> float:
    """Return the seconds between two requests of one of the processes that share a limit."""
    share = count / shared_by
    # Round down to whole requests: each process may send one at the start of a period.
    return seconds / (int(share) or share) * _INTERVAL_MARGIN


class _Limit:
    """Allows `count` requests within any `seconds` (sliding)."""

    def __init__(self, count: float, seconds: float) -> None:
        # Round down to whole requests: 2.5 per second becomes 2 per second. 0.5 per second becomes 1 per 2
        # seconds.
        self._sent: deque[float] = deque(maxlen=max(int(count), 1))
        self._seconds = seconds / min(count, 1.0)

    @property
    def per_second(self) -> float:
        """The number of requests per second that the limit allows."""
        return (self._sent.maxlen or 0) / self._seconds

    def wait(self, now: float) -> float:
        """Return the seconds from `now` until the next request is allowed."""
        is_full = len(self._sent) == self._sent.maxlen
        return self._sent[0] + self._seconds - now if is_full else 0.0

    def count(self, now: float) -> None:
        """Count a request sent at `now`."""
        self._sent.append(now)
