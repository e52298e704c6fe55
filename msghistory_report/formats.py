"""Numbers, durations and times as text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MISSING = "–"  # noqa: RUF001 - an en dash
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table: the name in the rows, the heading, and the format of the values."""

    name: str
    heading: str
    format: str = "text"

    @property
    def is_number(self) -> bool:
        """Whether the values are aligned to the right."""
        return self.format != "text"

    def text(self, value: Any) -> str:
        """Return a value as text."""
        return MISSING if value is None else _FORMATS[self.format](value)


def number(value: Any) -> str:
    """Return an integer with separators."""
    return f"{int(value):,}"


def counted(value: Any, noun: str) -> str:
    """Return a number of things, for example `1 message` or `2,000 messages`."""
    return f"{number(value)} {noun}{'' if value == 1 else 's'}"


def percent(value: Any) -> str:
    """Return a share from 0 to 1 in per cent, with one decimal."""
    return f"{float(value):.1%}"


def money(value: Any) -> str:
    """Return an amount with two decimals."""
    return f"{float(value):,.2f}"


def duration(seconds: Any) -> str:
    """Return a duration in its largest unit, for example `1.8 min`."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{float(seconds) / size:.3g} {unit}"
    return f"{float(seconds):.2g} s"


_FORMATS: dict[str, Callable[[Any], str]] = {
    "text": str,
    "number": number,
    "percent": percent,
    "money": money,
    "duration": duration,
}
