"""Times in the vendors' spellings. Everywhere else in the sandbox a time is an int: epoch ms, UTC."""

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
    """Epoch microseconds of an ISO 8601 date-time with `Z` or a `+hh:mm` offset.

    As strict as Java's `OffsetDateTime`, which the gateway's page names: a date alone, a missing
    offset, another separator than `T` or an offset without a colon is a `ValueError`. Digits
    beyond the microsecond are cut off.
    """
    match = _ISO_WITH_OFFSET.fullmatch(text)
    if match is None:
        raise ValueError("not an ISO 8601 date-time with an offset")
    date, minutes, seconds, fraction, offset = match.groups()
    # Spelt out in full, as datetime.fromisoformat wants it before Python 3.11.
    fraction = (fraction or "")[:6].ljust(6, "0")
    offset = "+00:00" if offset == "Z" else offset
    moment = datetime.fromisoformat(f"{date}T{minutes}:{seconds or '00'}.{fraction}{offset}")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def parse_ms(text: str) -> int:
    """Do as `parse_us`, in whole milliseconds."""
    return parse_us(text) // 1000


# Spelling times is most of the work of rendering a row; a page's messages share their minutes.
@lru_cache(maxsize=1 << 16)
def _minute(minutes: int, zone: tzinfo) -> tuple[str, str]:
    """Spell a minute since the epoch, and the zone's offset then."""
    text = datetime.fromtimestamp(minutes * 60, zone).isoformat()
    return text[:16], text[19:]


def edna_time(ms: int) -> str:
    """Spell a time as edna's answers do: `2024-07-23T08:08:20.201+0000`."""
    minutes, rest = divmod(ms, 60_000)
    return f"{_minute(minutes, timezone.utc)[0]}:{rest // 1000:02d}.{rest % 1000:03d}+0000"


def gateway_time(ms: int) -> str:
    """Spell a time as the gateway's worked example does: `2026-04-09T10:15:00+02:00`.

    The example is in Italian time, so the offset changes with daylight saving. A fraction is
    written only where there is one, as Java does.
    """
    minutes, rest = divmod(ms, 60_000)
    text, offset = _minute(minutes, _ROME)
    fraction = f".{rest % 1000:03d}" if rest % 1000 else ""
    return f"{text}:{rest // 1000:02d}{fraction}{offset}"


def utc_time(ms: int) -> str:
    """RFC 3339, for the sandbox's own answers: `2024-07-23T08:08:20.201Z`."""
    return edna_time(ms)[:-5] + "Z"
