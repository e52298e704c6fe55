"""Shows on stderr how far a run has got: a display that moves on a terminal, else a log line now and then."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tap_msghistory.progress import Progress, StreamProgress, reached, time_left

if TYPE_CHECKING:
    from rich.table import Table

logger = logging.getLogger("tap-msghistory.progress")

HEARTBEAT_SECONDS = 30.0
_REFRESHES_A_SECOND = 4


@contextlib.contextmanager
def shown(progress: Progress) -> Iterator[None]:
    """Show `progress` for as long as the block lasts, and its summary at the end."""
    # Where records go to the terminal too, a display among them would be of no use.
    is_watched = sys.stderr.isatty() and not sys.stdout.isatty()
    try:
        with _on_terminal(progress) if is_watched else _in_log(progress):
            yield
    finally:
        for line in progress.summary():
            logger.info(line)


def beat(progress: Progress, wait: Callable[[], bool]) -> None:
    """Log how far it has got after each `wait`, until one says that this is the end."""
    while not wait():
        logger.info(progress.describe())


@contextlib.contextmanager
def _in_log(progress: Progress) -> Iterator[None]:
    ended = threading.Event()
    # A thread of its own: the run may be waiting for its reader.
    heart = threading.Thread(target=beat, args=(progress, lambda: ended.wait(HEARTBEAT_SECONDS)), daemon=True)
    heart.start()
    try:
        yield
    finally:
        ended.set()


@contextlib.contextmanager
def _on_terminal(progress: Progress) -> Iterator[None]:
    from rich.console import Console  # noqa: PLC0415 - most runs have no terminal, and this takes a while
    from rich.live import Live  # noqa: PLC0415

    terminal = sys.stderr
    live = Live(
        get_renderable=lambda: table(progress.streams, progress.clock()),
        console=Console(file=terminal),
        refresh_per_second=_REFRESHES_A_SECOND,
        redirect_stdout=False,
        transient=True,
    )
    handlers = [
        it
        for it in logging.getLogger().handlers
        if isinstance(it, logging.StreamHandler) and it.stream is terminal
    ]
    with live:
        for handler in handlers:
            handler.setStream(sys.stderr)  # which prints above the display now
        try:
            yield
        finally:
            for handler in handlers:
                handler.setStream(terminal)


def table(streams: list[StreamProgress], now: float) -> Table:
    """Return a line a stream."""
    from rich.progress_bar import ProgressBar  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    lines = Table.grid(padding=(0, 2))
    for it in streams:
        is_done = it.ended is not None
        lines.add_row(
            it.name,
            ProgressBar(it.planned.total_seconds() or 1, it.covered.total_seconds(), width=20),
            reached(it),
            f"{it.messages:,} messages",
            f"{it.rate(now):,.0f}/s",
            "done" if is_done else time_left(it.seconds_left(now)),
            f"{it.paced:.0f} s paced",
        )
    return lines
