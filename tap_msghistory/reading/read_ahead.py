"""Reads several windows at once and returns them in order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

from tap_msghistory.planning.windows import Window
from tap_msghistory.reading.batches import WindowContents
from tap_msghistory.stats import WindowStats

ReadWindow = Callable[[Window, Callable[[], None], WindowStats], WindowContents]
_IDLE_SECONDS = 1.0


class WindowSplitRequired(Exception):  # noqa: N818 - not an error: reading continues with the parts
    """A window has too many messages; its parts are read instead."""

    def __init__(self, parts: list[Window]) -> None:
        super().__init__("the window is split")
        self.parts = parts


def do_nothing() -> None:
    """Do nothing, as a callback."""


@dataclass(frozen=True, slots=True)
class ReadCallbacks:
    """Callbacks of the caller during a read."""

    #: Returns the statistics object of a new window, given its cancellation event.
    new_stats: Callable[[threading.Event], WindowStats] = WindowStats
    #: Called about once per second while the next window is incomplete.
    idle: Callable[[], None] = do_nothing


def read_in_order(
    windows: Iterable[Window], read: ReadWindow, workers: int, callbacks: ReadCallbacks
) -> Iterator[WindowContents]:
    """Yield the contents of the windows in their order, reading up to `workers` windows at once.

    Complete windows that wait for their turn count among the `workers`, and so does the window that the
    caller is processing. Memory use therefore depends on `workers`, not on the length of the history. A
    window with too many rows is replaced with its parts. Raises the first error of `read` after yielding the
    complete windows that precede the first incomplete one, and errors of `callbacks.idle`.
    """
    scheduler = _WindowScheduler(windows, read, workers, callbacks)
    # Daemon threads: a hanging request must not keep a stopped process alive.
    threads = [threading.Thread(target=scheduler.work, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        while contents := scheduler.next_contents():
            yield contents
    finally:
        scheduler.close()


class _State(Enum):
    WAITING = auto()
    SIZING = auto()  #: being read, and may still be split
    READING = auto()
    DONE = auto()
    HANDED_OVER = auto()


@dataclass(slots=True, eq=False)
class _Slot:
    window: Window
    stats: WindowStats
    state: _State = _State.WAITING
    contents: WindowContents | None = None


class _WindowScheduler:
    """The windows that have not been handed over yet, in order."""

    def __init__(
        self, windows: Iterable[Window], read: ReadWindow, workers: int, callbacks: ReadCallbacks
    ) -> None:
        self._cancelled = threading.Event()
        self._callbacks = callbacks
        self._slots = deque(_Slot(window, callbacks.new_stats(self._cancelled)) for window in windows)
        self._read = read
        self._workers = workers
        self._changed = threading.Condition()
        self._failure: BaseException | None = None

    def next_contents(self) -> WindowContents | None:
        """Wait for the next window; None when all have been handed over.

        The window handed over last keeps its slot, because it is in memory, until the next is requested.
        """
        with self._changed:
            if self._slots and self._slots[0].state is _State.HANDED_OVER:
                self._slots.popleft()
                self._changed.notify_all()
            while self._slots:
                first = self._slots[0]
                if first.state is _State.DONE:
                    first.state, contents, first.contents = _State.HANDED_OVER, first.contents, None
                    return contents
                if self._failure:
                    raise self._failure
                if not self._changed.wait(_IDLE_SECONDS):
                    self._callbacks.idle()
            return None

    def work(self) -> None:
        """Read windows until none remains, one fails, or the scheduler is closed."""
        while slot := self._take():
            try:
                contents = self._timed_read(slot)
            except WindowSplitRequired as split:
                self._replace(slot, split.parts)
            except BaseException as error:  # noqa: BLE001 - raised where contents are awaited
                self._fail(error)
            else:
                self._finish(slot, contents)

    def close(self) -> None:
        """Stop the workers. They start no further windows, and waits between attempts end early."""
        with self._changed:
            self._cancelled.set()
            self._changed.notify_all()

    def _timed_read(self, slot: _Slot) -> WindowContents:
        started = time.monotonic()
        try:
            return self._read(slot.window, partial(self._size_is_known, slot), slot.stats)
        finally:
            slot.stats.seconds += time.monotonic() - started

    def _take(self) -> _Slot | None:
        with self._changed:
            while self._slots and not self._cancelled.is_set():
                if slot := self._first_ready():
                    slot.state = _State.SIZING
                    return slot
                self._changed.wait()
            return None

    def _first_ready(self) -> _Slot | None:
        """Return the next window to read.

        Never start a window after one that is still being sized: it may be split into many parts, which come
        first, while later windows would occupy memory. This also means that the first request of a run is
        sent alone, so a wrong key causes only one error.
        """
        for _, slot in zip(range(self._workers), self._slots, strict=False):
            if slot.state is _State.WAITING:
                return slot
            if slot.state is _State.SIZING:
                return None
        return None

    def _size_is_known(self, slot: _Slot) -> None:
        with self._changed:
            slot.state = _State.READING
            self._changed.notify_all()

    def _finish(self, slot: _Slot, contents: WindowContents) -> None:
        with self._changed:
            slot.state, slot.contents = _State.DONE, contents
            self._changed.notify_all()

    def _replace(self, slot: _Slot, parts: list[Window]) -> None:
        """Replace a window with its parts. The first part inherits its statistics."""
        with self._changed:
            position = self._slots.index(slot)
            del self._slots[position]
            for number, part in reversed([*enumerate(parts)]):
                stats = self._callbacks.new_stats(self._cancelled) if number else slot.stats
                self._slots.insert(position, _Slot(part, stats))
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._cancelled.set()
            self._changed.notify_all()
