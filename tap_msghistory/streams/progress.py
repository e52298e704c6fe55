"""How far a run has got, in numbers and in words. Shows nothing, and has no clock of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic

from tap_msghistory.planning.windows import Reason, Window
from tap_msghistory.stats import Effort


@dataclass(slots=True)
class StreamProgress:
    """How far one stream has got."""

    name: str
    planned: timedelta  #: of send time, in all
    began: float  #: by the run's clock, as all seconds here
    ended: float | None = None
    outcome: str | None = None  #: "failed" or "skipped"; None: read, or being read
    reached: datetime | None = None  #: the send time up to which has been read
    covered: timedelta = timedelta(0)  #: of what is planned
    new: int = 0
    revisited: int = 0
    rejected: int = 0
    efforts: list[Effort] = field(default_factory=list)  #: of all windows, also of those not read yet

    @property
    def requests(self) -> int:
        """Requests sent."""
        return sum(it.requests for it in self.efforts)

    @property
    def retries(self) -> int:
        """Those of them that repeated another."""
        return sum(it.retries for it in self.efforts)

    @property
    def paced(self) -> float:
        """Seconds waited for the pace, by all workers."""
        return sum(it.paced for it in self.efforts)

    @property
    def messages(self) -> int:
        """All that have been emitted."""
        return self.new + self.revisited

    def plan(self, windows: Sequence[Window]) -> None:
        """Take note of the windows that are to be read."""
        self.planned = sum((window.end - window.start for window in windows), timedelta(0))

    def add_messages(self, count: int, reason: Reason) -> None:
        """Take note of messages that are emitted."""
        if reason is Reason.NEW:
            self.new += count
        else:
            self.revisited += count

    def add_window(self, window: Window, rejected: int) -> None:
        """Take note of a window that has been emitted."""
        self.reached = window.end
        self.covered += window.end - window.start
        self.rejected += rejected

    def rate(self, now: float) -> float:
        """Return messages a second."""
        return self.messages / max((self.ended or now) - self.began, 0.001)

    def seconds_left(self, now: float) -> float | None:
        """Return how long the rest takes if it is like what has been read; None if nothing has."""
        if not self.covered:
            return None
        return (self.planned - self.covered) / self.covered * (now - self.began)

    def describe(self, now: float) -> str:
        """Say in a line how far it has got."""
        return (
            f"{self.name}: up to {reached(self)} (UTC), {self.messages:,} messages, "
            f"{self.rate(now):,.0f} a second, "
            f"{time_left(self.seconds_left(now))} left, {self.paced:.0f} s waited for the pace"
        )


@dataclass(slots=True)
class Progress:
    """How far all streams have got that have been begun."""

    clock: Callable[[], float] = monotonic  #: counts seconds
    streams: list[StreamProgress] = field(default_factory=list)

    def begin(self, name: str, windows: Sequence[Window]) -> StreamProgress:
        """Begin a stream that is to read these windows."""
        stream = StreamProgress(name, timedelta(0), self.clock())
        stream.plan(windows)
        self.streams.append(stream)
        return stream

    def end(self, name: str, outcome: str) -> None:
        """Record that a stream ended early, or was never started."""
        stream = next((stream for stream in self.streams if stream.name == name), None) or self.begin(
            name, []
        )
        stream.ended, stream.outcome = self.clock(), outcome

    def begin_effort(self, stop: threading.Event) -> Effort:
        """Return what goes along with a window of the stream that is being read, and counts for it."""
        effort = Effort(stop)
        self.streams[-1].efforts.append(effort)
        return effort

    def describe(self) -> str:
        """Say in a line how far the stream has got that is being read."""
        return self.streams[-1].describe(self.clock()) if self.streams else "nothing has been read yet"

    def summary(self) -> list[str]:
        """Return a line for each stream that was read."""
        return [
            f"{it.name}: {f'{it.outcome}, ' if it.outcome else ''}{it.messages:,} messages "
            f"({it.new:,} new, {it.revisited:,} revisited), "
            f"{it.rejected:,} rejected, {it.requests:,} requests, {it.retries:,} of them retries, "
            f"{it.paced:.0f} s waited for the pace, up to {reached(it)} (UTC)"
            for it in self.streams
        ]


def reached(progress: StreamProgress) -> str:
    """Say how far in send time, UTC."""
    return f"{progress.reached:%Y-%m-%d %H:%M}" if progress.reached else "the start"


def time_left(seconds: float | None) -> str:
    """Say how long the rest takes."""
    return "unknown" if seconds is None else f"{timedelta(seconds=round(seconds))}"
