"""Displays a run's progress on stderr: a live table on a terminal, otherwise a log line every 30 s."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO, cast

from tap_msghistory.syncing.progress import (
    HEARTBEAT_SECONDS,
    Progress,
    StreamProgress,
    format_reached,
    format_time_left,
)

if TYPE_CHECKING:
    from rich.progress_bar import ProgressBar
    from rich.table import Table

logger = logging.getLogger("tap-msghistory.progress")

_REFRESHES_PER_SECOND = 4
_MIN_WIDTH_WITH_BARS = 110  # columns


@contextlib.contextmanager
def displayed(progress: Progress) -> Iterator[None]:
    """Display `progress` during the block, and log a summary at the end."""
    # If the records are written to the terminal too, a live table would be mixed with them.
    is_watched = _is_terminal(sys.stderr) and not _is_terminal(sys.stdout) and _can_move_cursor()
    try:
        with _on_terminal(progress) if is_watched else _in_log(progress):
            yield
    finally:
        for line in progress.summary():
            logger.info(line)
        if sys.stderr is not None:
            _SafeStream(sys.stderr).flush()


def _is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal; a closed standard stream is None."""
    return stream is not None and stream.isatty()


class _SafeStream:
    """Wraps a stream, and discards text after the stream was closed, so that the run is not affected."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._or_discard():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._or_discard():
            self._stream.flush()

    @contextlib.contextmanager
    def _or_discard(self) -> Iterator[None]:
        """Discard text that cannot be written; the interpreter would fail again at exit."""
        try:
            yield
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _can_move_cursor() -> bool:
    """Return whether the terminal can overwrite a line."""
    return os.environ.get("TERM") not in {"dumb", "unknown"}


def log_heartbeat(progress: Progress, wait: Callable[[], bool]) -> None:
    """Log the progress after each `wait`, until `wait` returns True."""
    while not wait():
        logger.info(progress.describe())


@contextlib.contextmanager
def _in_log(progress: Progress) -> Iterator[None]:
    ended = threading.Event()
    # A separate thread is used because the run may be blocked by its consumer.
    thread = threading.Thread(
        target=log_heartbeat, args=(progress, lambda: ended.wait(HEARTBEAT_SECONDS)), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        ended.set()


@contextlib.contextmanager
def _on_terminal(progress: Progress) -> Iterator[None]:
    from rich.console import Console  # noqa: PLC0415 - slow to import, and most runs have no terminal
    from rich.live import Live  # noqa: PLC0415

    terminal = sys.stderr
    console = Console(file=cast("TextIO", _SafeStream(terminal)))
    live = Live(
        get_renderable=lambda: table(progress.streams, progress.clock(), console.width),
        console=console,
        refresh_per_second=_REFRESHES_PER_SECOND,
        redirect_stdout=False,
        transient=True,
    )
    handlers = [
        handler
        for handler in logging.getLogger().handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is terminal
    ]
    with live:
        for handler in handlers:
            handler.setStream(sys.stderr)  # which now prints above the table
        try:
            yield
        finally:
            for handler in handlers:
                handler.setStream(terminal)


def table(streams: list[StreamProgress], now: float, width: int) -> Table:
    """Return one line per stream, for a terminal of `width` columns."""
    from rich.table import Table  # noqa: PLC0415

    lines = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    lines.add_column("stream", no_wrap=True)
    lines.add_column("up to (UTC)", no_wrap=True)
    for name in ("messages", "/s", "left", "limited"):
        lines.add_column(name, justify="right", no_wrap=True)
    has_bars = width >= _MIN_WIDTH_WITH_BARS
    if has_bars:
        lines.add_column()
    for stream in streams:
        left = "done" if stream.ended is not None else format_time_left(stream.seconds_left(now))
        lines.add_row(
            stream.name,
            format_reached(stream),
            f"{stream.messages:,}",
            f"{stream.rate(now):,.0f}",
            stream.outcome or left,
            f"{stream.throttled_seconds:.0f}s",
            *([_bar(stream)] if has_bars else []),
        )
    return lines


def _bar(progress: StreamProgress) -> ProgressBar:
    from rich.progress_bar import ProgressBar  # noqa: PLC0415

    planned = progress.planned.total_seconds()
    return ProgressBar(
        planned or 1.0,
        progress.covered.total_seconds() if planned else 1.0,
        width=20,
        # Colours that even simple terminals distinguish.
        style="bright_black",
        complete_style="cyan",
        finished_style="green",
    )
