"""Realistic messages for the server: rows of the sandbox, repeated with other ids, times and addresses."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any

import msgspec

from msghistory_sandbox import edna, gateway
from msghistory_sandbox.generate import edna_messages, gateway_messages
from msghistory_sandbox.options import GatewayOptions
from msghistory_sandbox.times import DAY_MS, edna_time, gateway_time

FIRST_ID = 8_270_515
TEMPLATES = 500
DAYS = 40
"""Templates are sent in the first 40 days of 1970 and rendered 40 days later, with final statuses."""
MIN_TEMPLATE_FIELDS = 19
"""Minimum number of fields of edna rows that serve as templates: 634 bytes each, as in a busy account."""
BLOCK = 1000
"""Number of rows rendered at a time."""
CACHED_BLOCKS = 400
"""Rendered blocks in memory: 270 MB for edna, so that 400,000 messages are rendered only once."""

Template = bytes
FormatTime = Callable[[int], str]
FormatId = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Spread:
    """Send times of `count` messages at equal intervals; the last one is `since_ms + span_ms`."""

    count: int
    since_ms: int
    span_ms: int

    def sent_ms(self, index: int) -> int:
        """Return the send time (epoch ms) of the message at an index."""
        return self.since_ms + (index + 1) * self.span_ms // self.count

    def between(self, from_ms: int, to_ms: int) -> range:
        """Return the indices of the messages sent between two times, both inclusive."""
        indices = range(self.count)
        first = bisect_left(indices, from_ms, key=self.sent_ms)
        return range(first, max(first, bisect_right(indices, to_ms, key=self.sent_ms)))


class Rows:
    """Rendered rows of the messages of a spread.

    `format_time` formats a send time (epoch ms) as the vendor does; `format_id` returns the id of the message
    at an index.
    """

    def __init__(
        self, spread: Spread, templates: list[Template], format_time: FormatTime, format_id: FormatId
    ) -> None:
        self.spread = spread
        self._templates = templates
        self._format_time = format_time
        self._format_id = format_id
        self._block = lru_cache(CACHED_BLOCKS)(self._render_block)

    def page(self, indices: range) -> bytes:
        """Return the rows at ascending or descending indices, joined as in a JSON array."""
        if not indices:
            return b""
        low, high = min(indices[0], indices[-1]), max(indices[0], indices[-1])
        blocks = range(low // BLOCK, high // BLOCK + 1)
        first = blocks[0] * BLOCK
        rows = list(chain.from_iterable(map(self._block, blocks)))[low - first : high + 1 - first]
        return b",".join(rows if indices.step > 0 else reversed(rows))

    def _render_block(self, number: int) -> list[bytes]:
        stop = min((number + 1) * BLOCK, self.spread.count)
        return [self._render(index) for index in range(number * BLOCK, stop)]

    def _render(self, index: int) -> bytes:
        sent = self._format_time(self.spread.sent_ms(index)).encode()
        return self._templates[index % len(self._templates)] % {
            b"id": self._format_id(index).encode(),
            b"sent": sent,
            b"sent_second": sent[:20] + b"000" + sent[23:],
            b"phone": b"%011d" % (35_000_000_000 + index * 7919 % 1_000_000_000),
        }


def edna_rows(spread: Spread) -> Rows:
    """Return rows in edna's response format; ids increase with the send time."""
    messages = edna_messages(count=TEMPLATES, seed=0, days=DAYS, end_ms=DAYS * DAY_MS)
    rows = [edna.row(message, 2 * DAYS * DAY_MS) for message in messages]
    placeholders = {
        "messageId": "id",
        "sentOrReceivedAt": "sent",
        "deliveryStatusAt": "sent_second",
        "address": "phone",
    }
    templates = [_template(row, placeholders, bare="id") for row in rows if len(row) >= MIN_TEMPLATE_FIELDS]
    return Rows(spread, templates, edna_time, lambda index: str(FIRST_ID + 3 * index))


def gateway_rows(spread: Spread) -> Rows:
    """Return rows in the format of the gateway's API reference."""
    messages = gateway_messages(count=TEMPLATES, seed=0, days=DAYS, end_ms=DAYS * DAY_MS)["SMS"]
    rows = [gateway.row(message, 2 * DAYS * DAY_MS, GatewayOptions()) for message in messages]
    placeholders = {"messageId": "id", "sendDate": "sent", "deliveryDate": "sent", "destination": "phone"}
    templates = [_template(row, placeholders) for row in rows]
    return Rows(spread, templates, gateway_time, lambda index: f"{index:08x}-5c1d-4b52-8a3e-9d1f0c7be2a4")


def _template(row: Mapping[str, Any], placeholders: Mapping[str, str], bare: str = "") -> Template:
    """Render a row with `%(name)b` in place of the values of the keys in `placeholders`.

    The placeholder `bare` is for a number and is rendered without quotes.
    """
    marked = {
        key: f"@{placeholders[key]}@" if value and key in placeholders else value
        for key, value in row.items()
    }
    rendered = msgspec.json.encode(marked).replace(b"%", b"%%")
    for name in set(placeholders.values()):
        placeholder = f"%({name})b" if name == bare else f'"%({name})b"'
        rendered = rendered.replace(f'"@{name}@"'.encode(), placeholder.encode())
    return rendered
