"""Handlers of SIGINT, SIGTERM and SIGHUP."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tap_msghistory.errors import StoppedBySignal

Stop = Callable[[StoppedBySignal], None]


def install(stop: Stop) -> list[int]:
    """Call `stop` on SIGINT, SIGTERM and SIGHUP. SIGHUP stays ignored under nohup.

    Returns the signals that are handled. Must be called in the main thread.
    """
    handled: list[int] = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handled.append(signal.SIGHUP)
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
