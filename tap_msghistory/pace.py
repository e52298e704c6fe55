"""One pace a credential: no more requests than the vendor allows, however many threads ask."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from pyrate_limiter import InMemoryBucket


class Pace:
    """Requests a second and a minute, counted over sliding windows; None: no limit."""

    def __init__(self, *, per_second: float | None = None, per_minute: float | None = None) -> None:
        """Begin with nothing sent."""
        self._lock = threading.Lock()
        self._bucket = _bucket({1_000: per_second, 60_000: per_minute})

    def reserve(self) -> float:
        """Take a place in the pace and return 0, or return the seconds until there may be one."""
        if self._bucket is None:
            return 0.0
        from pyrate_limiter import RateItem  # noqa: PLC0415 - with edna's default it is never needed

        with self._lock:
            now = time.monotonic_ns() // 1_000_000
            self._bucket.leak(now)
            item = RateItem("request", now)
            return 0.0 if self._bucket.put(item) else cast("int", self._bucket.waiting(item)) / 1_000


def _bucket(limits: dict[int, float | None]) -> InMemoryBucket | None:
    """Return the limiter's book-keeping for `limits`, requests an interval in ms; it never sleeps."""
    set_limits = {interval: limit for interval, limit in limits.items() if limit}
    if not set_limits:
        return None
    from pyrate_limiter import InMemoryBucket, Rate  # noqa: PLC0415

    # The limiter counts whole requests: half a request a second is one in two seconds.
    return InMemoryBucket(
        [
            Rate(max(int(limit), 1), round(interval * max(int(limit), 1) / limit))
            for interval, limit in sorted(set_limits.items())
        ]
    )
