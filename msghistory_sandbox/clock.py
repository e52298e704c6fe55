"""The sandbox's clock: the system clock with an offset, or a frozen time."""

from __future__ import annotations

import threading
import time


def real_ms() -> int:
    """Return the system time, epoch ms."""
    return time.time_ns() // 1_000_000


class Clock:
    """A clock that starts at `at_ms` (epoch ms, UTC; default: the system time). Thread-safe."""

    def __init__(self, at_ms: int | None = None, *, frozen: bool = False) -> None:
        self._lock = threading.Lock()
        self._offset_ms = 0 if at_ms is None else at_ms - real_ms()
        self._frozen_ms: int | None = None
        if frozen:
            self._frozen_ms = real_ms() if at_ms is None else at_ms

    def now_ms(self) -> int:
        """Return the current time, epoch ms."""
        with self._lock:
            return self._read()

    @property
    def frozen(self) -> bool:
        """Whether the clock is frozen."""
        return self._frozen_ms is not None

    def set(self, at_ms: int) -> None:
        """Set the current time; a frozen clock stays frozen."""
        with self._lock:
            self._offset_ms = at_ms - real_ms()
            if self._frozen_ms is not None:
                self._frozen_ms = at_ms

    def advance(self, seconds: float) -> None:
        """Move the clock forward, or backward if `seconds` is negative."""
        with self._lock:
            step_ms = round(seconds * 1000)
            self._offset_ms += step_ms
            if self._frozen_ms is not None:
                self._frozen_ms += step_ms

    def freeze(self) -> None:
        """Stop the clock at the current time."""
        with self._lock:
            self._frozen_ms = self._read()

    def run(self) -> None:
        """Resume a frozen clock from the time at which it stopped."""
        with self._lock:
            self._offset_ms = self._read() - real_ms()
            self._frozen_ms = None

    def _read(self) -> int:
        return real_ms() + self._offset_ms if self._frozen_ms is None else self._frozen_ms
