"""Parsing and formatting of the vendors' timestamps. All other modules use epoch ms (int, UTC)."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

DAY_MS = 86_400_000

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_ROME = ZoneInfo("Europe/Rome")
_ISO_WITH_OFFSET = re.compile(
    r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)",
    re.ASCII,
)


def parse_us(text: str) -> int:
    """Parse an ISO 8601 date-time with `Z` or a `+hh:mm` offset. Return epoch microseconds.

    As strict as Java's `OffsetDateTime`, which the gateway's documentation names: raises ValueError for a
    date without a time, a missing offset, a separator other than `T`, or an offset without a colon. Digits
    beyond the microsecond are truncated.
    """
    match = _ISO_WITH_OFFSET.fullmatch(text)
    if match is None:
        raise ValueError("not an ISO 8601 date-time with an offset")
    date, minutes, seconds, fraction, offset = match.groups()
    # Before Python 3.11, datetime.fromisoformat requires all components and a numeric offset.
    fraction = (fraction or "")[:6].ljust(6, "0")
    offset = "+00:00" if offset == "Z" else offset
    parsed = datetime.fromisoformat(f"{date}T{minutes}:{seconds or '00'}.{fraction}{offset}")
    return (parsed - _EPOCH) // timedelta(microseconds=1)


def parse_ms(text: str) -> int:
    """Parse like `parse_us`. Return epoch milliseconds, rounded down."""
    return parse_us(text) // 1000


# Timestamps dominate the cost of rendering a row, and the messages of a page share most of their minutes.
@lru_cache(maxsize=1 << 16)
def _format_minute(epoch_minutes: int, zone: tzinfo) -> tuple[str, str]:
    """Format a minute as `YYYY-MM-DDThh:mm`, and the zone's offset at that time as `+hh:mm`."""
    text = datetime.fromtimestamp(epoch_minutes * 60, zone).isoformat()
    return text[:16], text[19:]


def edna_time(ms: int) -> str:
    """Format a time as in edna's responses: `2024-07-23T08:08:20.201+0000`."""
    minutes, rest = divmod(ms, 60_000)
    return f"{_format_minute(minutes, timezone.utc)[0]}:{rest // 1000:02d}.{rest % 1000:03d}+0000"


def gateway_time(ms: int) -> str:
    """Format a time as in the gateway's worked example: `2026-04-09T10:15:00+02:00`.

    The example uses Italian time, so the offset follows daylight saving. Like Java, omits a fraction of zero.
    """
    minutes, rest = divmod(ms, 60_000)
    text, offset = _format_minute(minutes, _ROME)
    fraction = f".{rest % 1000:03d}" if rest % 1000 else ""
    return f"{text}:{rest // 1000:02d}{fraction}{offset}"


def utc_time(ms: int) -> str:
    """Format a time as RFC 3339 in UTC: `2024-07-23T08:08:20.201Z`."""
    return edna_time(ms)[:-5] + "Z"
