"""Runs the same function for many items in several threads."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def run_all(
    items: Iterable[T], work: Callable[[T], None], workers: int, *, idle: Callable[[], None], seconds: float
) -> None:
    """Call `work` for every item, in their order. `idle` is called about every `seconds`.

    No further item is started after the first exception, which is raised at once. The threads are daemons, so
    a hanging request does not keep a stopped process alive.
    """
    waiting = iter(items)
    lock = threading.Lock()
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    stopped = threading.Event()

    def next_item() -> list[T]:
        with lock:
            return [] if stopped.is_set() else [*islice(waiting, 1)]

    def run() -> None:
        error = None
        try:
            while item := next_item():
                work(*item)
        except BaseException as raised:  # noqa: BLE001 - raised in the thread that waits
            error = raised
        ended.put(error)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        while threads:
            try:
                error = ended.get(timeout=seconds)
            except queue.Empty:
                idle()
            else:
                threads.pop()
                if error is not None:
                    raise error
    finally:
        stopped.set()
