"""Comparison of the rows that a target stored with the expected records."""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import Any

from targets.messages import OBJECTS, Row


@dataclass(slots=True)
class Differences:
    """Numbers of rows and of differing cells."""

    expected_rows: int = 0
    rows: int = 0
    missing_keys: int = 0
    repeated_keys: int = 0
    times: int = 0
    nulls: int = 0
    unknown_fields: int = 0
    other_cells: int = 0
    example: str = ""  #: the column of a differing cell in `other_cells`


def compare(
    expected: Sequence[Row], found: Sequence[Mapping[str, Any]], key: Sequence[str], times: Sequence[str]
) -> Differences:
    """Compare rows by key.

    The columns of `found` may be in lower case or snake case. Unknown columns are ignored.
    """
    differences = Differences(expected_rows=len(expected), rows=len(found))
    by_key: dict[tuple[str, ...], list[Row]] = {}
    for row in found:
        folded = {_fold(name): value for name, value in row.items()}
        by_key.setdefault(_key(folded, [*map(_fold, key)]), []).append(folded)
    expected_counts = Counter(_key(row, key) for row in expected)
    differences.missing_keys = len(expected_counts.keys() - by_key.keys())
    differences.repeated_keys = sum(len(rows) > expected_counts[row_key] for row_key, rows in by_key.items())
    for row in expected:
        rows = by_key.get(_key(row, key))
        if rows:
            _compare_row(row, rows.pop(0) if len(rows) > 1 else rows[0], times, differences)
    return differences


def _compare_row(row: Row, found: Row, times: Sequence[str], differences: Differences) -> None:
    for name, value in row.items():
        cell = found.get(_fold(name))
        if name in OBJECTS:
            differences.unknown_fields += not _is_same_object(value, cell)
        elif name in times:
            differences.times += not _is_same_time(value, cell)
        elif value is None or cell is None:
            differences.nulls += value is not None or cell not in (None, "")
        elif not _is_same(value, cell):
            differences.other_cells += 1
            differences.example = name


def _fold(name: str) -> str:
    return name.replace("_", "").lower()


def _key(row: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(_comparable(row.get(name)) for name in names)


def _comparable(value: Any) -> str:
    time = _to_time(value)
    return time.isoformat() if time else str(value)


def _is_same(value: Any, cell: Any) -> bool:
    if isinstance(value, bool):
        return str(cell).lower() in (str(value).lower(), str(int(value)))
    if isinstance(value, (int, float)):
        try:
            return Decimal(str(cell)) == Decimal(str(value))
        except InvalidOperation:
            return False
    return str(cell) == str(value)


def _is_same_time(value: Any, cell: Any) -> bool:
    if value is None:
        return cell in (None, "")
    return bool(value == cell) or _to_time(value) == _to_time(cell)


def _is_same_object(value: Any, cell: Any) -> bool:
    if value is None or value == "":
        return cell in (None, "", "null")
    return bool(_decode(cell) == _decode(value))


def _decode(value: Any) -> Any:
    """Decode an object, which some targets store as JSON and others as the `repr` of a Python object."""
    if not isinstance(value, str):
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(value)
        except (ValueError, SyntaxError):
            continue
    return value


def _to_time(value: Any) -> datetime | None:
    """Convert a cell to a time in UTC, or return None. A time without an offset is expected to be in UTC."""
    if isinstance(value, str) and len(value) > len("2024-01-01") and value[4:5] == "-":
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.astimezone(timezone.utc) if value.tzinfo else value.replace(tzinfo=timezone.utc)
