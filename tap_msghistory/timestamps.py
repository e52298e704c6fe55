"""Times and durations of settings, states and records.

Inside the tap a time is an aware `datetime` in UTC, truncated to milliseconds, the resolution of both
vendors.
"""

from __future__ import annotations

import re
import sys
from datetime import datetime, timedelta, timezone

import pendulum
from pendulum.parsing.exceptions import ParserError

if sys.version_info < (3, 11):  # pragma: no cover
    # Python 3.10 parses neither "Z" nor "+0000". This replaces its parser with that of 3.11.
    from backports.datetime_fromisoformat import MonkeyPatch

    MonkeyPatch.patch_fromisoformat()

MILLISECOND = timedelta(milliseconds=1)
_CENTURY = timedelta(days=36_525)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def now() -> datetime:
    """Return the current time."""
    return floor(datetime.now(timezone.utc))


def floor(moment: datetime) -> datetime:
    """Return a time in UTC, truncated to milliseconds."""
    moment = moment.astimezone(timezone.utc)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def to_text(moment: datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds, for example `2024-07-23T08:08:20.201Z`.

    The width is fixed, so text order is time order. The vendors' `+0000` is not a JSON Schema `date-time`.
    """
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")[:23] + "Z"


def from_text(text: str) -> datetime:
    """Read a time that was written by `to_text` or by hand; without an offset it is UTC.

    Raises `ValueError`, also for week dates and plain digits, which Python accepts.
    """
    if not _DATE.match(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    try:
        return floor(moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc))
    except OverflowError as error:
        raise ValueError(text) from error


def parse_datetime(text: str) -> datetime:
    """Read an ISO 8601 time; a date is the start of that day, a time without an offset is UTC.

    Raises `ValueError`, also for times before 1970, as no message is older.
    """
    if not _DATE.match(text) or text < "1970":
        raise ValueError(text)
    try:
        parsed = pendulum.parse(text)
    except ParserError as error:
        raise ValueError(text) from error
    if not isinstance(parsed, datetime):
        raise ValueError(text)  # noqa: TRY004 - the text is at fault, not its type
    return floor(datetime.fromtimestamp(parsed.timestamp(), timezone.utc))


def parse_duration(text: str) -> timedelta:
    """Read an ISO 8601 duration, for example `PT1H` or `P30D`.

    Raises `ValueError`, also for years and months, which have no fixed length, and for more than a century.
    """
    try:
        parsed = pendulum.parse(text, exact=True)
    except (ParserError, OverflowError) as error:
        raise ValueError(text) from error
    if not isinstance(parsed, pendulum.Duration) or parsed.years or parsed.months:
        raise ValueError(text)
    duration = timedelta(seconds=parsed.total_seconds())
    if duration > _CENTURY:
        raise ValueError(text)
    return duration


def duration_to_text(duration: timedelta) -> str:
    """Return an ISO 8601 duration in seconds, for example `PT3600S`."""
    return f"PT{duration.total_seconds():.15g}S"
