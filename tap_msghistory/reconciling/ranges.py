"""The ranges to check, with the number of messages that the warehouse has: CSV or JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from tap_msghistory.errors import TapError
from tap_msghistory.timestamps import parse_datetime

_COLUMNS = ("stream", "from", "to", "messages")
_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class CountedRange:
    """The number of messages that the warehouse has of a stream, sent in `(start, end]`."""

    stream: str
    start: datetime
    end: datetime
    messages: int
    account: str | None = None  #: None: the file does not name one


def read_ranges(lines: Iterable[str]) -> list[CountedRange]:
    """Read the lines of a file: JSON objects, or CSV with a header.

    Raises `TapError` with the number of the first invalid line. Its content is not quoted, because the file
    may be any.
    """
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    first = next(numbered, None)
    if first is None:
        raise TapError(
            "The file given with --reconcile is empty: the query that counts the messages may have failed"
        )
    is_json = first[1].lstrip().startswith("{")
    rows = (_read_json if is_json else _read_csv)(chain([first], numbered))
    ranges = [_range(number, row) for number, row in rows]
    if not ranges:
        raise TapError(
            "The file given with --reconcile has no ranges: check that the warehouse's tables are not empty"
        )
    return ranges


def _read_json(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise TapError(f"Line {number} of the file given with --reconcile is not a JSON object")
        yield number, _by_name(number, row)


def _read_csv(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    number = 0

    def texts() -> Iterator[str]:
        nonlocal number
        for number, line in lines:  # noqa: B007 - read by the loop below
            yield line

    try:
        for row in csv.DictReader(texts(), strict=True):
            yield number, _by_name(number, row)
    except csv.Error as error:
        raise TapError(f"Line {number} of the file given with --reconcile is not CSV") from error


def _by_name(number: int, row: Mapping[Any, Any]) -> Mapping[str, Any]:
    """Return the values by column. Some warehouses write names of columns in upper case."""
    named = {str(name).strip().lower(): value for name, value in row.items()}
    if any(named.get(name) is None for name in _COLUMNS):
        raise TapError(
            f"Line {number} of the file given with --reconcile must have stream, from, to and messages"
        )
    return named


def _range(number: int, row: Mapping[str, Any]) -> CountedRange:
    try:
        start, end = parse_datetime(str(row["from"]).strip()), parse_datetime(str(row["to"]).strip())
    except (ValueError, OverflowError) as error:
        raise TapError(
            f"Line {number} of the file given with --reconcile: from and to must be ISO 8601 times, for "
            "example 2024-01-31T00:00:00Z"
        ) from error
    if start >= end:
        raise TapError(f"Line {number} of the file given with --reconcile: from must be before to")
    text = str(row["messages"]).strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS):
        raise TapError(
            f"Line {number} of the file given with --reconcile: messages must be a whole number of at least 0"
        )
    account = str(row.get("account") or "").strip()
    return CountedRange(str(row["stream"]).strip(), start, end, int(text), account or None)
