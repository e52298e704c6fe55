"""The sandbox's clock: the real one with a shift, or one that stands still."""

from __future__ import annotations

import threading
import time


def real_ms() -> int:
    """Read the machine's clock, epoch ms."""
    return time.time_ns() // 1_000_000


class Clock:
    """Says what time it is in the sandbox, epoch ms UTC. Safe to set from any thread."""

    def __init__(self, at_ms: int | None = None, *, frozen: bool = False) -> None:
        """Start at a moment; None is the real time."""
        self._lock = threading.Lock()
        self._shift_ms = 0 if at_ms is None else at_ms - real_ms()
        self._frozen_ms: int | None = None
        if frozen:
            self._frozen_ms = real_ms() if at_ms is None else at_ms

    def now_ms(self) -> int:
        """Read the clock."""
        with self._lock:
            return self._read()

    @property
    def frozen(self) -> bool:
        """Whether the clock stands still."""
        return self._frozen_ms is not None

    def set(self, at_ms: int) -> None:
        """Let it be that time now; a frozen clock stays frozen."""
        with self._lock:
            self._shift_ms = at_ms - real_ms()
            if self._frozen_ms is not None:
                self._frozen_ms = at_ms

    def advance(self, seconds: float) -> None:
        """Move it forward, or back if negative."""
        with self._lock:
            step_ms = round(seconds * 1000)
            self._shift_ms += step_ms
            if self._frozen_ms is not None:
                self._frozen_ms += step_ms

    def freeze(self) -> None:
        """Stop it where it is."""
        with self._lock:
            self._frozen_ms = self._read()

    def run(self) -> None:
        """Let it go on from where it stands."""
        with self._lock:
            self._shift_ms = self._read() - real_ms()
            self._frozen_ms = None

    def _read(self) -> int:
        return real_ms() + self._shift_ms if self._frozen_ms is None else self._frozen_ms
