"""One pace a credential: no more requests than the vendor allows, however many threads ask."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

# Where a server limits requests more than the settings say, they are spaced: twice as far at each 429, and
# closer again at each success. After a short burst of 429s, a run is back at full speed within seconds.
_FIRST_SPACING = 0.05  # seconds
_LONGEST_SPACING = 1.0
_SPACING_GROWTH = 2.0
_SPACING_DECAY = 0.85
_NO_SPACING = 0.001
_PERIOD = 60.0  # seconds, of a limit per minute
_LONGEST_RESET = 3600.0
#: Requests that are sent evenly arrive a little less so.
_JITTER = 1.02


class Pace:
    """Requests a second and a minute, counted over sliding windows (None: no limit), and slowing down."""

    def __init__(
        self,
        *,
        per_second: float | None = None,
        per_minute: float | None = None,
        sharers: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin with nothing sent. `clock` counts seconds.

        `sharers` processes share the limits, and know nothing of each other or of those before them (None:
        this one has them for itself). Each then sends evenly, and first after a whole interval: so no
        window of theirs holds more than the limits allow, nor does one that reaches into the time before.
        """
        self._clock = clock
        self._lock = threading.Lock()
        limits = [(count, seconds) for count, seconds in ((per_second, 1.0), (per_minute, 60.0)) if count]
        #: Among how many processes the limits can be divided; None: among any number.
        self.most_sharers = min((max(int(count), 1) for count, _ in limits), default=None)
        if sharers is None:
            self._limits = [_Limit(count, seconds) for count, seconds in limits]
        else:
            self._limits = [_Limit(1, _interval(count, seconds, sharers)) for count, seconds in limits]
            for limit in self._limits:
                limit.count(clock())
        self._has_period = per_minute is not None
        self._sent: deque[float] = deque()  # within the period
        self._remaining: float | None = None
        self._period_began = 0.0  # at the latest
        self._resume_at = 0.0
        self._last_sent_at = 0.0
        self._spacing = 0.0

    @property
    def per_second(self) -> float | None:
        """The requests a second that the limits allow for long; None if there is no limit."""
        return min((it.per_second for it in self._limits), default=None)

    def reserve(self) -> float:
        """Take a place in the pace and return 0, or return the seconds until there may be one."""
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
                while self._sent[0] <= now - _PERIOD:
                    self._sent.popleft()
                for limit in self._limits:
                    limit.count(now)
            return wait

    def slow_down(self, sent_at: float, seconds: float) -> float:
        """Let nobody send for `seconds`, and space requests: the one sent at `sent_at` was too many.

        Further ones that were on their way by then are the same event. Returns the seconds until the
        next may be sent.
        """
        with self._lock:
            if sent_at >= self._resume_at:
                self._spacing = min(max(self._spacing * _SPACING_GROWTH, _FIRST_SPACING), _LONGEST_SPACING)
            now = self._clock()
            self._resume_at = max(self._resume_at, now + seconds)
            return max(self._resume_at, self._last_sent_at + self._spacing) - now

    def note_remaining(self, remaining: float, limit: float, reset: float | None = None) -> None:
        """Take note of how many requests are left. Where none are, send nothing until the period is over.

        `reset` is when that is, in seconds from now, if the server says so. Otherwise the period cannot have
        begun later than this process's oldest request in it, or than the moment at which `remaining` rose
        by more than half of `limit`. A limit that slides frees its first request at that time too.
        """
        with self._lock:
            now = self._clock()
            if self._remaining is not None and remaining - self._remaining > limit / 2:
                self._period_began = now
            self._remaining = remaining
            if remaining > 0:
                return
            if reset is not None:
                self._resume_at = max(self._resume_at, now + min(reset, _LONGEST_RESET))
            elif self._has_period:
                oldest = next((sent_at for sent_at in self._sent if sent_at > now - _PERIOD), now)
                self._resume_at = max(self._resume_at, max(oldest, self._period_began) + _PERIOD)

    def speed_up(self) -> None:
        """Space requests a little less: one has succeeded."""
        with self._lock:
            self._spacing *= _SPACING_DECAY
            if self._spacing < _NO_SPACING:
                self._spacing = 0.0


def _interval(count: float, seconds: float, sharers: int) -> float:
    """Return the seconds between two requests of one of the sharers."""
    share = count / sharers
    # Whole requests, as each sharer may have its own at the begin of a window.
    return seconds / (int(share) or share) * _JITTER


class _Limit:
    """At most `count` requests within any `seconds`, sliding."""

    def __init__(self, count: float, seconds: float) -> None:
        # Whole requests: of 2.5 a second 2, and half a request a second is one in two seconds.
        self._sent: deque[float] = deque(maxlen=max(int(count), 1))
        self._seconds = seconds / min(count, 1.0)

    @property
    def per_second(self) -> float:
        """The requests a second that this allows."""
        return (self._sent.maxlen or 0) / self._seconds

    def wait(self, now: float) -> float:
        """Return the seconds from `now` until another may be sent."""
        is_full = len(self._sent) == self._sent.maxlen
        return self._sent[0] + self._seconds - now if is_full else 0.0

    def count(self, now: float) -> None:
        """Take note of one sent `now`."""
        self._sent.append(now)
