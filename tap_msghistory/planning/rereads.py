"""Ranges of send time that are read again on request, without moving a bookmark."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tap_msghistory.planning.windows import Reason, Window, merged, split_range
from tap_msghistory.timestamps import parse_datetime, to_text


@dataclass(frozen=True, slots=True)
class RereadRange:
    """The messages of a stream that were sent in `(start, end]`."""

    stream: str
    start: datetime
    end: datetime

    def __str__(self) -> str:
        """Return the range in the text form of the setting `reread`."""
        return f"{self.stream}={to_text(self.start)}/{to_text(self.end)}"


def parse(value: Any) -> tuple[RereadRange, ...]:
    """Read the setting `reread`: a list of objects or of texts, as JSON text too, or comma-separated texts.

    Raises `ValueError`.
    """
    items = value
    if isinstance(value, str):
        items = json.loads(value) if value.lstrip().startswith("[") else value.split(",")
    if not isinstance(items, list):
        raise ValueError(value)  # noqa: TRY004 - all errors of the setting have one type
    return tuple(map(_parse_range, items))


def windows(ranges: Iterable[RereadRange], stream: str, until: datetime, max_span: timedelta) -> list[Window]:
    """Return the windows of a stream, oldest first and without overlaps, up to `until`."""
    own = merged((item.start, min(item.end, until)) for item in ranges if item.stream == stream)
    return [window for start, end in own for window in split_range(start, end, Reason.REREAD, max_span)]


def _parse_range(item: Any) -> RereadRange:
    if isinstance(item, str):
        stream, _, bounds = item.partition("=")
        start, _, end = bounds.partition("/")
        item = {"stream": stream, "from": start, "to": end}
    if not isinstance(item, dict) or item.keys() != {"stream", "from", "to"}:
        raise ValueError(item)
    stream, start, end = (str(item[name]).strip() for name in ("stream", "from", "to"))
    parsed = RereadRange(stream, parse_datetime(start), parse_datetime(end))
    if not stream or parsed.start >= parsed.end:
        raise ValueError(item)
    return parsed
