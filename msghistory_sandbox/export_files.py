"""Export files as CSV: columns as the gateway documents them, format details according to the options."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from msghistory_sandbox.options import ExportOptions, HeaderStyle
from msghistory_sandbox.times import gateway_time

COLUMNS = (
    "messageId", "customerMessageId", "channel", "sender", "destination", "body", "deliveryStatus",
    "deliveryStatusDescription", "sendDate", "deliveryDate", "cost", "parts",
)  # fmt: skip

_SYNTHETIC_ROWS_PER_CHUNK = 500
_STRIDE = 7919
"""A prime: its multiples modulo the row count visit every row, in a scattered order."""


def render(rows: Sequence[dict[str, Any]], options: ExportOptions) -> bytes:
    """Render a complete file. Undocumented properties become the last columns."""
    additional = {name: None for row in rows for name in row if name not in COLUMNS}
    names = [*COLUMNS, *additional]
    file = io.StringIO()
    writer = csv.writer(
        file,
        delimiter=";" if options.semicolons else ",",
        lineterminator="\r\n" if options.crlf else "\n",
    )
    writer.writerow([_header(name, options.header) for name in names])
    for row in rows:
        writer.writerow([_cell(row.get(name), options) for name in names])
    return file.getvalue().encode("utf-8-sig" if options.bom else "utf-8")


def render_synthetic(count: int, start_ms: int, end_ms: int) -> Iterator[bytes]:
    """Generate a file of any size in chunks: unordered rows, sent throughout a time range (epoch ms)."""
    yield (",".join(COLUMNS) + "\n").encode()
    for first in range(0, count, _SYNTHETIC_ROWS_PER_CHUNK):
        last = min(first + _SYNTHETIC_ROWS_PER_CHUNK, count)
        indices = (number * _STRIDE % count for number in range(first, last))
        rows = (_synthetic_row(index, end_ms - (end_ms - start_ms) * index // count) for index in indices)
        yield "".join(rows).encode()


def _synthetic_row(index: int, sent_ms: int) -> str:
    sent = gateway_time(sent_ms)
    return (
        f"00000000-0000-4000-a000-{index:012d},order-{index},SMS,Shop,39{index:010d},"
        f'"Your code is {index}.\nDo not tell it, to anybody.",DELIVERED,Message delivered,'
        f"{sent},{sent},0.045,1\n"
    )


def _header(name: str, style: HeaderStyle) -> str:
    """Format a documented column as `messageId`, `Message ID` or `message_id`; keep other names unchanged."""
    if style == "camel" or name not in COLUMNS:
        return name
    words = re.sub(r"([A-Z])", r" \1", name)
    if style == "snake":
        return words.lower().replace(" ", "_")
    return words[:1].upper() + words[1:].replace(" Id", " ID")


def _cell(value: Any, options: ExportOptions) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    text = json.dumps(value)
    return text.replace(".", ",") if options.decimal_comma and isinstance(value, float) else text
