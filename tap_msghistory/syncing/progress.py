"""The progress of a run, as numbers and as text. It does not display anything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic

from tap_msghistory.planning.windows import Reason, Window
from tap_msghistory.stats import WindowStats

#: The interval of log lines about the progress.
HEARTBEAT_SECONDS = 30.0


@dataclass(slots=True)
class StreamProgress:
    """The progress of one stream. Times are seconds of the run's clock."""

    name: str
    planned: timedelta  #: send time to read, in total
    started: float
    ended: float | None = None
    outcome: str | None = None  #: "failed" or "skipped"; None: read, or being read
    reached: datetime | None = None  #: the send time up to which messages have been read
    covered: timedelta = timedelta(0)  #: the part of `planned` that has been read
    new: int = 0
    revisited: int = 0
    rejected: int = 0
    window_stats: list[WindowStats] = field(default_factory=list)  #: of all windows, including unread ones

    @property
    def requests(self) -> int:
        """The number of requests sent, including retries."""
        return sum(stats.requests for stats in self.window_stats)

    @property
    def retries(self) -> int:
        """The number of retries."""
        return sum(stats.retries for stats in self.window_stats)

    @property
    def throttled_seconds(self) -> float:
        """The seconds that all workers have waited for the rate limiter."""
        return sum(stats.throttled_seconds for stats in self.window_stats)

    @property
    def messages(self) -> int:
        """The number of emitted messages."""
        return self.new + self.revisited

    def set_planned(self, windows: Sequence[Window]) -> None:
        """Record the windows that will be read."""
        self.planned = sum((window.end - window.start for window in windows), timedelta(0))

    def add_messages(self, count: int, reason: Reason) -> None:
        """Count emitted messages."""
        if reason is Reason.NEW:
            self.new += count
        else:
            self.revisited += count

    def add_window(self, window: Window) -> None:
        """Count a window that has been emitted."""
        self.reached = window.end
        self.covered += window.end - window.start

    def rate(self, now: float) -> float:
        """Return the number of messages per second."""
        return self.messages / max((self.ended or now) - self.started, 0.001)

    def seconds_left(self, now: float) -> float | None:
        """Return the time that the rest takes at the average rate; None if nothing has been read."""
        if not self.covered:
            return None
        return (self.planned - self.covered) / self.covered * (now - self.started)

    def describe(self, now: float) -> str:
        """Return the progress as one line."""
        return (
            f"{self.name}: up to {format_reached(self)} (UTC), {self.messages:,} messages, "
            f"{self.rate(now):,.0f} per second, {format_time_left(self.seconds_left(now))} left, "
            f"{self.throttled_seconds:.0f} s rate-limited"
        )


@dataclass(slots=True)
class Progress:
    """The progress of all streams that have been started."""

    clock: Callable[[], float] = monotonic  #: returns seconds
    streams: list[StreamProgress] = field(default_factory=list)

    def start(self, name: str, windows: Sequence[Window]) -> StreamProgress:
        """Add a stream that will read these windows."""
        stream = StreamProgress(name, timedelta(0), self.clock())
        stream.set_planned(windows)
        self.streams.append(stream)
        return stream

    def end(self, name: str, outcome: str) -> None:
        """Record that a stream ended early, or was never started."""
        stream = next((stream for stream in self.streams if stream.name == name), None) or self.start(
            name, []
        )
        stream.ended, stream.outcome = self.clock(), outcome

    def new_stats(self, cancelled: threading.Event) -> WindowStats:
        """Create the statistics of a window and add them to the current stream."""
        stats = WindowStats(cancelled)
        self.streams[-1].window_stats.append(stats)
        return stats

    def describe(self) -> str:
        """Return the progress of the current stream as one line."""
        return self.streams[-1].describe(self.clock()) if self.streams else "nothing has been read yet"

    def summary(self) -> list[str]:
        """Return one line per stream."""
        return [
            f"{stream.name}: {f'{stream.outcome}, ' if stream.outcome else ''}{stream.messages:,} messages "
            f"({stream.new:,} new, {stream.revisited:,} revisited), {stream.rejected:,} rejected, "
            f"{stream.requests:,} requests including {stream.retries:,} retries, "
            f"{stream.throttled_seconds:.0f} s rate-limited, up to {format_reached(stream)} (UTC)"
            for stream in self.streams
        ]


def format_reached(progress: StreamProgress) -> str:
    """Return the send time that has been reached as text, in UTC."""
    return f"{progress.reached:%Y-%m-%d %H:%M}" if progress.reached else "the start"


def format_time_left(seconds: float | None) -> str:
    """Return a duration as text."""
    return "unknown" if seconds is None else f"{timedelta(seconds=round(seconds))}"
