"""Divides a message history among concurrent readers, about evenly by messages."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from threading import Event
from typing import NamedTuple

from tap_msghistory.errors import TapError
from tap_msghistory.planning.windows import TARGET_WINDOW_ROWS, Size, Window
from tap_msghistory.reading.source import HistorySource
from tap_msghistory.stats import WindowStats
from tap_msghistory.timestamps import MILLISECOND

#: Estimated pieces per reader. The size of a part is accurate to about one piece.
_PIECES = 4
#: Maximum number of times that pieces are halved. Only inconsistent responses would require more.
_MAX_ROUNDS = 16


class Part(NamedTuple):
    """The windows of one reader."""

    windows: list[Window]
    shares_start_boundary: bool = False  #: another part ends where this one starts


@dataclass(frozen=True, slots=True)
class Piece:
    """A window and its estimated number of messages."""

    window: Window
    messages: float

    @property
    def sized(self) -> Window:
        """The window with its expected size. The reader corrects a wrong estimate."""
        return replace(self.window, size=Size.UNKNOWN if self.messages <= TARGET_WINDOW_ROWS else Size.LARGE)


def max_readers(source: HistorySource, accounts: int) -> int:
    """Return how many processes may read a history at once if `accounts` accounts share its credential.

    Raises `TapError` if the rate limit cannot be divided among the accounts.
    """
    allowed = source.client.max_processes
    if allowed is not None and allowed < accounts:
        raise TapError(
            f"{accounts} accounts share a credential, but its rate limit can be divided among at most "
            f"{allowed}: read fewer accounts at once"
        )
    limits = (allowed and allowed // accounts, source.max_processes, sys.maxsize)
    return min(limit for limit in limits if limit)


def parts(source: HistorySource, windows: list[Window], readers: int) -> list[Part]:
    """Return at most `readers` parts, in order.

    For more than one reader, sends small requests. Raises `ApiError`.
    """
    groups = [windows] if windows else []
    if windows and readers > 1:
        with _estimator(source) as estimate:
            groups = divide(survey(windows, estimate, readers), readers)
    # Requests start a millisecond early, so windows a millisecond apart share an instant too.
    shares = [later[0].start <= earlier[-1].end + MILLISECOND for earlier, later in pairwise(groups)]
    return [*map(Part, groups, [False, *shares])]


def survey(
    windows: list[Window], estimate: Callable[[list[Window]], Iterable[float]], readers: int
) -> list[Piece]:
    """Estimate the plan, halving windows with many messages. `estimate` accepts several windows."""
    pieces = [*map(Piece, windows, estimate(windows))]
    for _ in range(_MAX_ROUNDS):
        max_messages = max(sum(piece.messages for piece in pieces) / (readers * _PIECES), TARGET_WINDOW_ROWS)
        large = {
            piece.window for piece in pieces if piece.messages > max_messages and piece.window.splittable
        }
        if not large:
            break
        halves = [half for window in large for half in window.parts(2)]
        kept = [piece for piece in pieces if piece.window not in large]
        pieces = sorted([*kept, *map(Piece, halves, estimate(halves))], key=lambda piece: piece.window.start)
    return pieces


def divide(pieces: list[Piece], readers: int) -> list[list[Window]]:
    """Return at most `readers` groups of about equal size, in order; fewer for few messages."""
    total = sum(piece.messages for piece in pieces)
    groups: list[list[Window]] = [
        [] for _ in range(max(1, min(readers, math.ceil(total / TARGET_WINDOW_ROWS))))
    ]
    before = 0.0
    for piece in pieces:
        middle = (before + piece.messages / 2) / total if total else 0.0
        groups[min(int(middle * len(groups)), len(groups) - 1)].append(piece.sized)
        before += piece.messages
    return [group for group in groups if group]


@contextmanager
def _estimator(source: HistorySource) -> Iterator[Callable[[list[Window]], list[float]]]:
    """Yield a function that estimates several windows at once; a failure cancels the others."""
    cancelled = Event()
    pool = ThreadPoolExecutor(source.account.settings.concurrency)

    def estimate(window: Window) -> float:
        return source.sampler.estimate(window, WindowStats(cancelled)) or 0.0

    def estimate_all(windows: list[Window]) -> list[float]:
        # The first request is sent alone, so a wrong key causes only one error.
        return [estimate(windows[0]), *pool.map(estimate, windows[1:])]

    try:
        yield estimate_all
    finally:
        cancelled.set()
        pool.shutdown(wait=False, cancel_futures=True)
