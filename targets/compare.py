"""Compares a target's rows with the records that it was given."""

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
class Findings:
    """What differs, in counts of cells or rows."""

    expected_rows: int = 0
    rows: int = 0
    missing_keys: int = 0
    repeated_keys: int = 0
    times: int = 0
    nulls: int = 0
    unknown_fields: int = 0
    other_cells: int = 0
    example: str = ""  #: a cell of `other_cells`


def compare(
    expected: Sequence[Row], found: Sequence[Mapping[str, Any]], key: Sequence[str], times: Sequence[str]
) -> Findings:
    """Compare rows by key. Columns of `found` may be in lower or snake case; unknown ones are ignored."""
    findings = Findings(expected_rows=len(expected), rows=len(found))
    by_key: dict[tuple[str, ...], list[Row]] = {}
    for row in found:
        folded = {_folded(name): value for name, value in row.items()}
        by_key.setdefault(_key(folded, [*map(_folded, key)]), []).append(folded)
    wanted = Counter(_key(row, key) for row in expected)
    findings.missing_keys = len(wanted.keys() - by_key.keys())
    findings.repeated_keys = sum(len(rows) > wanted[each] for each, rows in by_key.items())
    for row in expected:
        rows = by_key.get(_key(row, key))
        if rows:
            _compare_row(row, rows.pop(0) if len(rows) > 1 else rows[0], times, findings)
    return findings


def _compare_row(row: Row, found: Row, times: Sequence[str], findings: Findings) -> None:
    for name, value in row.items():
        cell = found.get(_folded(name))
        if name in OBJECTS:
            findings.unknown_fields += not _is_same_object(value, cell)
        elif name in times:
            findings.times += not _is_same_time(value, cell)
        elif value is None or cell is None:
            findings.nulls += value is not None or cell not in (None, "")
        elif not _is_same(value, cell):
            findings.other_cells += 1
            findings.example = name


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _key(row: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(_comparable(row.get(name)) for name in names)


def _comparable(value: Any) -> str:
    moment = _moment(value)
    return moment.isoformat() if moment else str(value)


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
    return bool(value == cell) or _moment(value) == _moment(cell)


def _is_same_object(value: Any, cell: Any) -> bool:
    if value is None or value == "":
        return cell in (None, "", "null")
    return bool(_decoded(cell) == _decoded(value))


def _decoded(value: Any) -> Any:
    """Return an object, which some targets keep as JSON and some as the text of a Python object."""
    if not isinstance(value, str):
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            return read(value)
        except (ValueError, SyntaxError):
            continue
    return value


def _moment(value: Any) -> datetime | None:
    """Return a time in UTC. A target that leaves out the offset keeps times in UTC, or it is wrong."""
    if isinstance(value, str) and len(value) > len("2024-01-01") and value[4:5] == "-":
        try:
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.astimezone(timezone.utc) if value.tzinfo else value.replace(tzinfo=timezone.utc)
