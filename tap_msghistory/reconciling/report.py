"""Writes the results of a check as a table, as JSON or as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from tap_msghistory.reconciling.results import Result, Verdict, rereads, totals
from tap_msghistory.timestamps import to_text

_COLUMNS = ("stream", "from", "to", "warehouse", "vendor", "difference", "verdict", "reason")
_NUMBERS = frozenset({"warehouse", "vendor", "difference"})


def render(results: Sequence[Result], requests: int, format_: str) -> str:
    """Return the report in one of the package's `FORMATS`."""
    if format_ == "json":
        return _as_json(results, requests)
    return _as_csv(results) if format_ == "csv" else _as_table(results, requests)


def reread_value(results: Sequence[Result]) -> str:
    """Return the value of the setting `reread` that reads the missing messages; empty if none is missing."""
    return ",".join(map(str, rereads(results)))


def _as_table(results: Sequence[Result], requests: int) -> str:
    """Return the ranges that are not ok, the totals, and how to read what is missing."""
    rows = [_row(result) for result in results if result.verdict is not Verdict.OK]
    sections = [_table([_cells(row) for row in rows])] if rows else []
    sections.append(totals(results, requests))
    if value := reread_value(results):
        sections.append(f"To read the missing messages, run once with the setting reread:\n{value}")
    return "\n\n".join(sections)


def _table(rows: list[list[str]]) -> str:
    lines = [[*_COLUMNS], *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if name in _NUMBERS else cell.ljust(width)
            for name, cell, width in zip(_COLUMNS, line, widths, strict=True)
        ).rstrip()
        for line in lines
    )


def _cells(row: dict[str, Any]) -> list[str]:
    cells = [
        "" if row[name] is None else f"{row[name]:,}" if name in _NUMBERS else str(row[name])
        for name in _COLUMNS
    ]
    cells[_COLUMNS.index("reason")] = row["reason"] or ""
    return cells


def _as_json(results: Sequence[Result], requests: int) -> str:
    document = {
        "ranges": [_row(result) for result in results],
        "requests": requests,
        "reread": reread_value(results) or None,
    }
    return json.dumps(document, indent=1)


def _as_csv(results: Sequence[Result]) -> str:
    text = io.StringIO()
    names = [*_COLUMNS, "account"] if any(result.range.account for result in results) else _COLUMNS
    writer = csv.DictWriter(text, names, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(_row(result) for result in results)
    return text.getvalue().rstrip("\n")


def _row(result: Result) -> dict[str, Any]:
    range_ = result.range
    row = {
        "stream": range_.stream,
        "from": to_text(range_.start),
        "to": to_text(range_.end),
        "warehouse": range_.messages,
        "vendor": result.vendor,
        "difference": result.difference,
        "verdict": result.verdict.value,
        "reason": result.reason,
    }
    return {**row, "account": range_.account} if range_.account else row
