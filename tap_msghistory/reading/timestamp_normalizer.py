"""A vendor's times, as they are emitted.

A time is three parts, each of few values that many messages share: the hour, the minute and second, and
behind them the milliseconds and the offset. In the spellings that the vendors use, each part is parsed
once and then looked up: to parse and write each time anew would be a third of a sync's work.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from datetime import datetime, tzinfo
from functools import lru_cache

from tap_msghistory.timestamps import to_text

logger = logging.getLogger("tap-msghistory.records")

#: The three parts of a time. Offsets of whole hours only: others move the minutes too.
_PARTS = re.compile(
    r"(?P<hour>\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3])):[0-5]\d:[0-5]\d"
    r"(?P<rest>(?:\.\d{3})?(?:Z|(?P<offset>[+-]\d\d):?00))",
    re.ASCII,
)
#: ISO 8601's extended format; Python also reads week dates and times without separators.
_EXTENDED = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?"
    r"(?:[Zz]|[+-]\d\d(?::?\d\d(?::?\d\d(?:\.\d+)?)?)?)?",
    re.ASCII,
)
_MINUTES = {text: text for text in (f":{it // 60:02}:{it % 60:02}" for it in range(3600))}
#: Of a part no more values are remembered. A year has fewer hours.
_REMEMBERED = 10_000


class Moments:
    """Reads ISO 8601 and writes RFC 3339 in UTC with milliseconds, as `2024-07-23T08:08:20.201Z`."""

    def __init__(self, assume_timezone: tzinfo) -> None:
        """Take times without an offset as those of a time zone."""
        self._assume_timezone = assume_timezone
        #: For what follows the seconds: the hours of that offset in UTC, and what follows then.
        self._rests: dict[str, tuple[dict[str, str], str]] = {}
        self._hours: dict[str, dict[str, str]] = {}

    def __call__(self, text: str) -> str | None:
        """Return a time as it is emitted; None where it is not readable."""
        return self.column([text])[0]

    def column(self, texts: Iterable[str | None]) -> list[str | None]:
        """Return the times of a column as they are emitted; None where one is missing or not readable."""
        rests, minutes = self._rests, _MINUTES  # local names: this loop is a tenth of a sync's work
        emitted: list[str | None] = []
        append = emitted.append
        for text in texts:
            if text is None:
                append(None)
                continue
            try:
                hours, rest = rests[text[19:]]
                append(f"{hours[text[:13]]}{minutes[text[13:19]]}{rest}")
            except KeyError:
                append(self._parse(text))
        return emitted

    def _parse(self, text: str) -> str | None:
        parts = _PARTS.fullmatch(text)
        if not (parts or _EXTENDED.fullmatch(text)):
            return None
        try:
            moment = datetime.fromisoformat(text.upper())
            if moment.tzinfo is None:
                _warn_of_assumption(self._assume_timezone)
                moment = moment.replace(tzinfo=self._assume_timezone)
            emitted = to_text(moment)
        except (ValueError, OverflowError):
            return None
        if parts:
            self._remember(parts, emitted)
        return emitted

    def _remember(self, parts: re.Match[str], emitted: str) -> None:
        hours = self._hours.setdefault(parts["offset"] or "Z", {})
        for known in (hours, self._rests):
            if len(known) >= _REMEMBERED:
                known.clear()
        hours[parts["hour"]] = emitted[:13]
        self._rests[parts["rest"]] = hours, emitted[19:]


@lru_cache  # once is enough
def _warn_of_assumption(zone: tzinfo) -> None:
    logger.warning("Times without an offset are taken as %s (setting assume_timezone)", zone)
