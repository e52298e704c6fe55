"""How a history is cut into partitions of about as many messages each."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Event

from pyspark.sql.datasource import InputPartition

from tap_msghistory.errors import TapError
from tap_msghistory.planning.windows import Size, Window
from tap_msghistory.reading.window_reader import CAPACITY
from tap_msghistory.stats import Effort
from tap_msghistory.timestamps import MILLISECOND
from tap_msghistory.vendors import MessageHistory

#: Pieces of a partition that are looked at one by one: its size is right to about one of them.
_PIECES = 4
#: Halvings of a stretch. More would only follow a server whose answers make no sense.
_MOST_ROUNDS = 16


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch, and about how many messages it holds."""

    window: Window
    messages: float

    @property
    def sized(self) -> Window:
        """The window, with what is known of its size. Where that is wrong, its reader finds out."""
        return replace(self.window, size=Size.UNKNOWN if self.messages <= CAPACITY else Size.LARGE)


@dataclass
class HistoryPartition(InputPartition):
    """What one task reads. Has no credential in it, but the place of one among the options."""

    account: int
    windows: list[Window]
    begins_at_seam: bool  #: another partition ends where this one begins
    sharers: int = 1  #: partitions that are read with the same credential, this one included


def survey(
    windows: list[Window], estimate: Callable[[list[Window]], Iterable[float]], tasks: int
) -> list[Piece]:
    """Look at what is planned, closer where there is much, in halves: `estimate` asks for several at once."""
    pieces = [*map(Piece, windows, estimate(windows))]
    for _ in range(_MOST_ROUNDS):
        fair = max(sum(it.messages for it in pieces) / (tasks * _PIECES), CAPACITY)
        large = {it.window for it in pieces if it.messages > fair and it.window.splittable}
        if not large:
            break
        halves = [half for it in large for half in it.parts(2)]
        kept = [it for it in pieces if it.window not in large]
        pieces = sorted([*kept, *map(Piece, halves, estimate(halves))], key=lambda it: it.window.start)
    return pieces


def divide(pieces: list[Piece], tasks: int) -> list[list[Window]]:
    """Return at most `tasks` groups of about as many messages, in order, and no more than are worth it."""
    total = sum(it.messages for it in pieces)
    groups: list[list[Window]] = [[] for _ in range(max(1, min(tasks, math.ceil(total / CAPACITY))))]
    before = 0.0
    for it in pieces:
        middle = (before + it.messages / 2) / total if total else 0.0
        groups[min(int(middle * len(groups)), len(groups) - 1)].append(it.sized)
        before += it.messages
    return [group for group in groups if group]


def most_tasks(history: MessageHistory, among: int) -> int:
    """Return into how many tasks a history may be cut, where so many share its credential.

    Raises `TapError` where they are more than its limit can be divided among.
    """
    allowed = history.client.most_sharers
    if allowed is not None and allowed < among:
        raise TapError(
            f"{among} accounts share a credential, whose limit cannot be divided among more than {allowed}: "
            "read fewer of them at once"
        )
    return min(it for it in (allowed and allowed // among, history.most_readers, sys.maxsize) if it)


def of_history(
    history: MessageHistory, windows: list[Window], account: int, tasks: int
) -> list[HistoryPartition]:
    """Cut what is planned of a history. Asks the vendor a few small questions, unless one task is to do it.

    Raises `TapError`.
    """
    groups = [windows] if windows else []
    if windows and tasks > 1:
        with _asking(history) as estimate:
            groups = divide(survey(windows, estimate, tasks), tasks)
    partitions: list[HistoryPartition] = []
    for group in groups:
        # Requests begin a millisecond early, so windows also share an instant that are so far apart.
        meets = bool(partitions) and group[0].start <= partitions[-1].windows[-1].end + MILLISECOND
        partitions.append(HistoryPartition(account, group, begins_at_seam=meets))
    return partitions


@contextmanager
def _asking(history: MessageHistory) -> Iterator[Callable[[list[Window]], list[float]]]:
    """Provide what estimates several windows at once; a failure stops the others."""
    stop = Event()
    pool = ThreadPoolExecutor(history.account.settings.concurrency)

    def estimate(window: Window) -> float:
        return history.estimate(window, Effort(stop)) or 0.0

    def estimate_all(windows: list[Window]) -> list[float]:
        # The first alone: it may show that a key is wrong.
        return [estimate(windows[0]), *pool.map(estimate, windows[1:])]

    try:
        yield estimate_all
    finally:
        stop.set()
        pool.shutdown(wait=False, cancel_futures=True)
