"""The start of a command: fast imports, and SIGINT without a traceback."""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_ALLOCATIONS_PER_COLLECTION = 100_000


@contextmanager
def importing() -> Iterator[None]:
    """Import modules in the block without garbage collections, and collect rarely afterwards.

    Until the command handles signals, SIGINT ends the process without a traceback.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Imported modules are never garbage. Searching them repeatedly would take a quarter of the startup time.
    gc.disable()
    yield
    gc.freeze()
    # Rows are allocated by the thousand and never form cycles.
    gc.set_threshold(_ALLOCATIONS_PER_COLLECTION)
    gc.enable()
