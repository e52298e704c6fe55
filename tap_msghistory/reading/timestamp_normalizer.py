"""Converts a vendor's timestamps to the form in which they are emitted.

A timestamp is split into three parts with few different values each: the hour; the minute and second; the
milliseconds and offset. In the formats that the vendors use, each part is parsed once and then looked up.
Parsing and formatting every timestamp would take a third of a sync's CPU time.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from datetime import datetime, tzinfo
from functools import lru_cache

from tap_msghistory.timestamps import to_text

logger = logging.getLogger("tap-msghistory.records")

#: The three parts of a timestamp. Only offsets of whole hours match, as others change the minutes.
_PARTS = re.compile(
    r"(?P<hour>\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3])):[0-5]\d:[0-5]\d"
    r"(?P<rest>(?:\.\d{3})?(?:Z|(?P<offset>[+-]\d\d):?00))",
    re.ASCII,
)
#: The extended format of ISO 8601. Python also parses week dates and times without separators.
_EXTENDED = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?"
    r"(?:[Zz]|[+-]\d\d(?::?\d\d(?::?\d\d(?:\.\d+)?)?)?)?",
    re.ASCII,
)
_MINUTES = {text: text for text in (f":{second // 60:02}:{second % 60:02}" for second in range(3600))}
#: Maximum number of remembered values per part, more than the hours of a year.
_MAX_REMEMBERED = 10_000


class TimestampNormalizer:
    """Reads ISO 8601 and writes RFC 3339 in UTC with milliseconds, for example `2024-07-23T08:08:20.201Z`."""

    def __init__(self, assume_timezone: tzinfo) -> None:
        """Set the time zone of timestamps without an offset."""
        self._assume_timezone = assume_timezone
        #: Maps the text after the seconds to the known hours of its offset and to the normalized text.
        self._rests: dict[str, tuple[dict[str, str], str]] = {}
        self._hours: dict[str, dict[str, str]] = {}

    def __call__(self, text: str) -> str | None:
        """Return the normalized timestamp; None if the text is not a timestamp."""
        return self.column([text])[0]

    def column(self, texts: Iterable[str | None]) -> list[str | None]:
        """Return the normalized timestamps of a column; None where one is missing or not readable."""
        rests, minutes = self._rests, _MINUTES  # local names: this loop takes a tenth of a sync's CPU time
        normalized: list[str | None] = []
        append = normalized.append
        for text in texts:
            if text is None:
                append(None)
                continue
            try:
                hours, rest = rests[text[19:]]
                append(f"{hours[text[:13]]}{minutes[text[13:19]]}{rest}")
            except KeyError:
                append(self._parse(text))
        return normalized

    def _parse(self, text: str) -> str | None:
        parts = _PARTS.fullmatch(text)
        if not (parts or _EXTENDED.fullmatch(text)):
            return None
        try:
            moment = datetime.fromisoformat(text.upper())
            if moment.tzinfo is None:
                _warn_about_assumption(self._assume_timezone)
                moment = moment.replace(tzinfo=self._assume_timezone)
            normalized = to_text(moment)
        except (ValueError, OverflowError):
            return None
        if parts:
            self._remember(parts, normalized)
        return normalized

    def _remember(self, parts: re.Match[str], normalized: str) -> None:
        hours = self._hours.setdefault(parts["offset"] or "Z", {})
        for known in (hours, self._rests):
            if len(known) >= _MAX_REMEMBERED:
                known.clear()
        hours[parts["hour"]] = normalized[:13]
        self._rests[parts["rest"]] = hours, normalized[19:]


@lru_cache  # log it once
def _warn_about_assumption(zone: tzinfo) -> None:
    logger.warning("Timestamps without an offset are interpreted as %s (setting assume_timezone)", zone)
