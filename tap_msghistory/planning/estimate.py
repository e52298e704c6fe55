"""Estimates the requests and the duration of a sync in advance.

The number of messages in a range is known only once it has been read. A few windows of the plan are sampled,
and the others are assumed to be equally dense.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from tap_msghistory.planning.windows import MAX_SPAN, TARGET_WINDOW_ROWS, Window

#: Windows that are sampled per stream, with one or two small requests each.
_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class RangeEstimate:
    """A range that would be read; the estimates are None if the number of messages is unknown."""

    window: Window
    requests: int | None
    seconds: float | None


@dataclass(frozen=True, slots=True)
class StreamEstimate:
    """Estimated ranges, requests and time of one stream's sync."""

    stream: str
    requests_sent: int  #: by the estimate itself
    ranges: list[RangeEstimate]


@dataclass(frozen=True, slots=True)
class Throughput:
    """Factors that limit the reading speed of a stream."""

    page_size: int
    concurrency: int
    requests_per_second: float | None  #: the rate limit; None: unlimited
    seconds_per_request: float  #: measured latency


def sample_windows(ranges: Sequence[Window]) -> list[Window]:
    """Return the windows to sample: the longest parts of the plan.

    None is longer than a third of the plan, or than the vendors accept.
    """
    longest = min(sum((window.end - window.start for window in ranges), timedelta(0)) / _SAMPLES, MAX_SPAN)
    parts: list[Window] = []
    for window in ranges:
        parts += window.parts(math.ceil((window.end - window.start) / longest))
    return sorted(parts, key=lambda part: part.end - part.start, reverse=True)[:_SAMPLES]


def density(samples: Sequence[tuple[Window, float | None]]) -> float | None:
    """Return the messages per second of send time; None if no sample has a number of messages."""
    known = [messages for _, messages in samples if messages is not None]
    if not known:
        return None
    return sum(known) / sum((window.end - window.start).total_seconds() for window, _ in samples)


def estimate_range(
    window: Window, messages_per_second: float | None, throughput: Throughput
) -> RangeEstimate:
    """Estimate the requests and the time that reading a range takes."""
    if messages_per_second is None:
        return RangeEstimate(window, None, None)
    messages = messages_per_second * (window.end - window.start).total_seconds()
    # One request per page, and one per window that finds the row at which the window is full.
    requests = math.ceil(messages / throughput.page_size + messages / TARGET_WINDOW_ROWS) or 1
    limit = throughput.requests_per_second
    at_limit = requests / limit if limit else 0.0
    at_latency = requests * throughput.seconds_per_request / throughput.concurrency
    return RangeEstimate(window, requests, max(at_limit, at_latency))
