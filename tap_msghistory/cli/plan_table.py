"""The table that `--plan` prints."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

from tap_msghistory.planning.estimate import StreamEstimate
from tap_msghistory.timestamps import to_text

Row = tuple[str, str, str, str, str, str]
_HEADER: Row = ("stream", "after", "up to", "why", "requests", "time")


def plan_table(estimates: Sequence[StreamEstimate]) -> str:
    """Return a table with one line per range."""
    rows = [_HEADER, *(row for estimate in estimates for row in _rows(estimate)), _total(estimates)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    sent = sum(estimate.requests_sent for estimate in estimates)
    return "\n".join([*lines, "", f"No records were emitted. Estimated from {sent} small requests."])


def _rows(estimate: StreamEstimate) -> list[Row]:
    return [
        (
            estimate.stream,
            to_text(range_.window.start),
            to_text(range_.window.end),
            range_.window.reason.value,
            *_amounts(range_.requests, range_.seconds),
        )
        for range_ in estimate.ranges
    ] or [(estimate.stream, "", "", "nothing to read", "", "")]


def _total(estimates: Sequence[StreamEstimate]) -> Row:
    ranges = [range_ for estimate in estimates for range_ in estimate.ranges]
    requests = sum(range_.requests or 0 for range_ in ranges)
    seconds = sum(range_.seconds or 0.0 for range_ in ranges)
    name = "all that is known" if any(range_.requests is None for range_ in ranges) else "all"
    return (name, "", "", "", *_amounts(requests, seconds))


def _amounts(requests: int | None, seconds: float | None) -> tuple[str, str]:
    return (
        "unknown" if requests is None else f"about {requests:,}",
        "unknown" if seconds is None else f"about {timedelta(seconds=math.ceil(seconds))}",
    )
