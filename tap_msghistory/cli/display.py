"""Shows on stderr how far a run has got: a display that moves on a terminal, else a log line now and then."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO, cast

from tap_msghistory.streams.progress import Progress, StreamProgress, reached, time_left

if TYPE_CHECKING:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

logger = logging.getLogger("tap-msghistory.progress")

HEARTBEAT_SECONDS = 30.0
_REFRESHES_A_SECOND = 4
_WIDTH_WITH_BARS = 110  # columns


@contextlib.contextmanager
def shown(progress: Progress) -> Iterator[None]:
    """Show `progress` for as long as the block lasts, and its summary at the end."""
    # Where records go to the terminal too, a display among them would be of no use.
    is_watched = _is_terminal(sys.stderr) and not _is_terminal(sys.stdout) and _can_move()
    try:
        with _on_terminal(progress) if is_watched else _in_log(progress):
            yield
    finally:
        for line in progress.summary():
            logger.info(line)
        if sys.stderr is not None:
            _Terminal(sys.stderr).flush()


def _is_terminal(stream: TextIO | None) -> bool:
    """Return whether it is one; None is what the interpreter has for a closed stream."""
    return stream is not None and stream.isatty()


class _Terminal:
    """A terminal that may go away: how a run ends must not depend on who watches it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._or_nowhere():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._or_nowhere():
            self._stream.flush()

    @contextlib.contextmanager
    def _or_nowhere(self) -> Iterator[None]:
        """Let what cannot be written go nowhere: the interpreter would fail once more at its end."""
        try:
            yield
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _can_move() -> bool:
    """Return whether the terminal can go back to a line that it has shown."""
    return os.environ.get("TERM") not in {"dumb", "unknown"}


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
    console = Console(file=cast("TextIO", _Terminal(terminal)))
    live = Live(
        get_renderable=lambda: table(progress.streams, progress.clock(), console.width),
        console=console,
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


def table(streams: list[StreamProgress], now: float, width: int) -> Table:
    """Return a line a stream, for a terminal of so many columns."""
    from rich.table import Table  # noqa: PLC0415

    lines = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    lines.add_column("stream", no_wrap=True)
    lines.add_column("up to (UTC)", no_wrap=True)
    for figure in ("messages", "/s", "left", "pace"):
        lines.add_column(figure, justify="right", no_wrap=True)
    has_bars = width >= _WIDTH_WITH_BARS
    if has_bars:
        lines.add_column()
    for it in streams:
        lines.add_row(
            it.name,
            reached(it),
            f"{it.messages:,}",
            f"{it.rate(now):,.0f}",
            it.outcome or ("done" if it.ended is not None else time_left(it.seconds_left(now))),
            f"{it.paced:.0f}s",
            *([_bar(it)] if has_bars else []),
        )
    return lines


def _bar(progress: StreamProgress) -> ProgressBar:
    from rich.progress_bar import ProgressBar  # noqa: PLC0415

    planned = progress.planned.total_seconds()
    return ProgressBar(
        planned or 1.0,
        progress.covered.total_seconds() if planned else 1.0,
        width=20,
        # Colours that the simplest terminals have too: there, the usual ones look alike.
        style="bright_black",
        complete_style="cyan",
        finished_style="green",
    )
