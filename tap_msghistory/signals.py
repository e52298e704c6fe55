"""Stops the process on a signal, after what is being written."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tap_msghistory.errors import StoppedBySignal

Stop = Callable[[StoppedBySignal], None]


def install(stop: Stop) -> list[int]:
    """Call `stop` on SIGINT, SIGTERM and SIGHUP, unless they are ignored, as SIGHUP by nohup.

    Returns the signals that are handled. Must be called in the main thread.
    """
    numbers = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
    handled = [number for number in numbers if number and signal.getsignal(number) is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, lambda signum, _: stop(StoppedBySignal(signum)))
    return handled


@contextmanager
def stopping(stop: Stop) -> Iterator[None]:
    """Handle signals during the block. Afterwards, they have their default action."""
    handled = install(stop)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
