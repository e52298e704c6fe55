"""What a sync would read, before it does: stretches of send time, why, and about how much that takes.

How many messages a stretch holds is only known when it has been read. A few places of what is planned are
sampled, and the rest is taken to be as dense as these.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from tap_msghistory.planning.windows import Window, joined
from tap_msghistory.reading.window_reader import CAPACITY
from tap_msghistory.stats import Effort
from tap_msghistory.streams.base import MessageHistoryStream
from tap_msghistory.timestamps import to_text

#: Places of a stream that are sampled, by one or two small requests each.
_SAMPLES = 3
Row = tuple[str, str, str, str, str, str]
_HEADER: Row = ("stream", "after", "up to", "why", "requests", "time")


@dataclass(frozen=True, slots=True)
class Expected:
    """A stretch that would be read, and what that takes; None: not known before."""

    stretch: Window
    requests: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a sync would read of a stream."""

    stream: str
    asked: int  #: requests that the forecast has taken
    expected: list[Expected]


def of(stream: MessageHistoryStream) -> Forecast:
    """Forecast a stream's sync. Raises `ApiError`."""
    effort = Effort()
    planned = joined(stream.planned().windows)
    began = time.monotonic()
    density = _density(stream, planned, effort)
    seconds_a_request = (time.monotonic() - began) / max(effort.requests, 1)
    expected = [_expected(stream, it, density, seconds_a_request) for it in planned]
    return Forecast(stream.name, effort.requests, expected)


def places(planned: Sequence[Window]) -> list[Window]:
    """Return the windows to sample: the longest parts of what is planned, none longer than a third of it."""
    longest = sum((it.end - it.start for it in planned), timedelta(0)) / _SAMPLES
    parts: list[Window] = []
    for stretch in planned:
        parts += stretch.parts(math.ceil((stretch.end - stretch.start) / longest))
    return sorted(parts, key=lambda it: it.end - it.start, reverse=True)[:_SAMPLES]


def table(forecasts: Sequence[Forecast]) -> str:
    """Lay forecasts out, a line a stretch."""
    rows = [_HEADER, *(row for it in forecasts for row in _rows(it)), _total(forecasts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    asked = sum(it.asked for it in forecasts)
    return "\n".join([*lines, "", f"Nothing was emitted. Estimated from {asked} small requests."])


def _total(forecasts: Sequence[Forecast]) -> Row:
    expected = [it for forecast in forecasts for it in forecast.expected]
    requests = sum(it.requests or 0 for it in expected)
    seconds = sum(it.seconds or 0.0 for it in expected)
    name = "all that is known" if any(it.requests is None for it in expected) else "all"
    return (name, "", "", "", *_amounts(requests, seconds))


def _amounts(requests: int | None, seconds: float | None) -> tuple[str, str]:
    """Say how many requests and how much time."""
    return (
        "not known" if requests is None else f"about {requests:,}",
        "not known" if seconds is None else f"about {timedelta(seconds=math.ceil(seconds))}",
    )


def _density(stream: MessageHistoryStream, planned: list[Window], effort: Effort) -> float | None:
    """Return the messages a second of send time; None where that cannot be asked."""
    sampled = places(planned)
    messages = [stream.history.estimate(it, effort) for it in sampled]
    known = [it for it in messages if it is not None]
    if not known:
        return None
    return sum(known) / sum((it.end - it.start).total_seconds() for it in sampled)


def _expected(
    stream: MessageHistoryStream, stretch: Window, density: float | None, seconds_a_request: float
) -> Expected:
    if density is None:
        return Expected(stretch, None, None)
    messages = density * (stretch.end - stretch.start).total_seconds()
    # A request a page, and one that finds out where a window is full.
    requests = math.ceil(messages / stream.config["page_size"] + messages / CAPACITY) or 1
    allowed = stream.history.client.requests_per_second
    at_pace = requests / allowed if allowed else 0.0
    at_latency = requests * seconds_a_request / stream.config["concurrency"]
    return Expected(stretch, requests, max(at_pace, at_latency))


def _rows(forecast: Forecast) -> list[Row]:
    return [
        (
            forecast.stream,
            to_text(it.stretch.start),
            to_text(it.stretch.end),
            it.stretch.reason.value,
            *_amounts(it.requests, it.seconds),
        )
        for it in forecast.expected
    ] or [(forecast.stream, "", "", "nothing to read", "", "")]
