"""The files of exports, as CSV: columns as the gateway's page names them, the rest as options say."""

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

_MADE_UP_ROWS_A_CHUNK = 500
_STRIDE = 7919
"""A prime: its multiples visit every row, and not in their order."""


def render(rows: Sequence[dict[str, Any]], options: ExportOptions) -> bytes:
    """Write a whole file. Properties that are no column of the page come last."""
    further = {name: None for row in rows for name in row if name not in COLUMNS}
    names = [*COLUMNS, *further]
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


def made_up(count: int, start_ms: int, end_ms: int) -> Iterator[bytes]:
    """Write a file of any length, in no order and piece by piece, with sends all over a stretch of time."""
    yield (",".join(COLUMNS) + "\n").encode()
    for first in range(0, count, _MADE_UP_ROWS_A_CHUNK):
        places = (
            number * _STRIDE % count for number in range(first, min(first + _MADE_UP_ROWS_A_CHUNK, count))
        )
        yield "".join(_made_up_row(it, end_ms - (end_ms - start_ms) * it // count) for it in places).encode()


def _made_up_row(place: int, sent_ms: int) -> str:
    sent = gateway_time(sent_ms)
    return (
        f"00000000-0000-4000-a000-{place:012d},order-{place},SMS,Shop,39{place:010d},"
        f'"Your code is {place}.\nDo not tell it, to anybody.",DELIVERED,Message delivered,'
        f"{sent},{sent},0.045,1\n"
    )


def _header(name: str, style: HeaderStyle) -> str:
    """Spell a column of the page: `messageId`, `Message ID` or `message_id`; others stay as they are."""
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
