"""Many windows at once, handed over in their order."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Generic, TypeVar

from tap_msghistory.planning.windows import Window
from tap_msghistory.reading.window_reader import TooManyError
from tap_msghistory.stats import Effort

T = TypeVar("T")
Read = Callable[[Window, Callable[[], None], Effort], T]
_IDLE_SECONDS = 1.0


def read_in_order(
    windows: Iterable[Window],
    read: Read[T],
    workers: int,
    *,
    begin_effort: Callable[[threading.Event], Effort],
    idle: Callable[[], None],
) -> Iterator[T]:
    """Yield the windows' batches in the windows' order, reading up to `workers` of them at once.

    Finished windows wait for their turn and count among the `workers`, as does the one that the caller
    works on, so that what is in memory is bounded by them and not by the history. A window that turns out
    too full gives its place to its parts. While there is nothing to yield, `idle` is called about once a
    second. `begin_effort` makes what goes along with a window. Raises what `read` raises, once all that was
    finished before it has been yielded, and what `idle` raises.
    """
    agenda = _Agenda(windows, read, workers, begin_effort)
    # Daemons: a request that hangs must not keep a stopped process alive.
    threads = [threading.Thread(target=agenda.work, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        while batch := agenda.next_batch(idle):
            yield batch
    finally:
        agenda.close()


class _State(Enum):
    WAITING = auto()
    SIZING = auto()  #: being read, and it may yet turn out too full
    READING = auto()
    DONE = auto()
    HANDED_OVER = auto()


@dataclass(slots=True, eq=False)
class _Slot(Generic[T]):
    window: Window
    effort: Effort
    state: _State = _State.WAITING
    batch: T | None = None


class _Agenda(Generic[T]):
    """The windows that are not yet handed over, in order."""

    def __init__(
        self,
        windows: Iterable[Window],
        read: Read[T],
        workers: int,
        begin_effort: Callable[[threading.Event], Effort],
    ) -> None:
        self._stop = threading.Event()
        self._begin_effort = begin_effort
        self._slots: deque[_Slot[T]] = deque(_Slot(window, begin_effort(self._stop)) for window in windows)
        self._read = read
        self._workers = workers
        self._changed = threading.Condition()
        self._failure: BaseException | None = None

    def next_batch(self, idle: Callable[[], None]) -> T | None:
        """Wait for the next window's batch; None when all have been handed over.

        The one handed over before keeps its place, as it is in memory, until the next is asked for.
        """
        with self._changed:
            if self._slots and self._slots[0].state is _State.HANDED_OVER:
                self._slots.popleft()
                self._changed.notify_all()
            while self._slots:
                first = self._slots[0]
                if first.state is _State.DONE:
                    first.state, batch, first.batch = _State.HANDED_OVER, first.batch, None
                    return batch
                if self._failure:
                    raise self._failure
                if not self._changed.wait(_IDLE_SECONDS):
                    idle()
            return None

    def work(self) -> None:
        """Read windows until none is left, one fails, or the agenda is closed."""
        while slot := self._take():
            try:
                batch = self._timed(slot)
            except TooManyError as error:
                self._replace(slot, error.parts)
            except BaseException as error:  # noqa: BLE001 - it is raised where batches are awaited
                self._fail(error)
            else:
                self._finish(slot, batch)

    def _timed(self, slot: _Slot[T]) -> T:
        began = time.monotonic()
        try:
            return self._read(slot.window, partial(self._fits, slot), slot.effort)
        finally:
            slot.effort.seconds += time.monotonic() - began

    def close(self) -> None:
        """Let the workers end: none takes another window, and waits within a request are cut short."""
        with self._changed:
            self._stop.set()
            self._changed.notify_all()

    def _take(self) -> _Slot[T] | None:
        with self._changed:
            while self._slots and not self._stop.is_set():
                if slot := self._first_ready():
                    slot.state = _State.SIZING
                    return slot
                self._changed.wait()
            return None

    def _first_ready(self) -> _Slot[T] | None:
        """Return the next window to read.

        None lies behind a window whose size is not known: it may yet become many, which come first, and
        later windows would take their places in memory. It also means that the very first request of a
        run, which may show that a key is wrong, is sent alone.
        """
        for _, slot in zip(range(self._workers), self._slots, strict=False):
            if slot.state is _State.WAITING:
                return slot
            if slot.state is _State.SIZING:
                return None
        return None

    def _fits(self, slot: _Slot[T]) -> None:
        with self._changed:
            slot.state = _State.READING
            self._changed.notify_all()

    def _finish(self, slot: _Slot[T], batch: T) -> None:
        with self._changed:
            slot.state, slot.batch = _State.DONE, batch
            self._changed.notify_all()

    def _replace(self, slot: _Slot[T], parts: list[Window]) -> None:
        """Put the parts where the window was; what it has taken so far counts with the first."""
        with self._changed:
            position = self._slots.index(slot)
            del self._slots[position]
            for number, part in reversed([*enumerate(parts)]):
                effort = self._begin_effort(self._stop) if number else slot.effort
                self._slots.insert(position, _Slot(part, effort))
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._failure = self._failure or error
            self._stop.set()
            self._changed.notify_all()
