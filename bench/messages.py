"""Life-like messages for the server: rows of the sandbox's, repeated with other ids, times and addresses."""

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
"""The templates' messages are sent in the first 40 days of 1970 and shown 40 days later: all is settled."""
RICH_FIELDS = 19
"""edna's rows with at least so many fields serve as templates: 634 bytes each, as in a busy account."""
BLOCK = 1000
"""Rows are rendered so many at a time."""
KEPT_BLOCKS = 400
"""Rendered blocks that stay in memory: 270 MB of edna's, so that 400,000 messages are rendered once."""

Template = bytes
Spell = Callable[[int], str]
Name = Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Spread:
    """`count` messages sent at even distances: the last at the end of `span_ms` after `since_ms`."""

    count: int
    since_ms: int
    span_ms: int

    def sent_ms(self, index: int) -> int:
        """Return the send time (epoch ms) of the message at an index."""
        return self.since_ms + (index + 1) * self.span_ms // self.count

    def between(self, from_ms: int, to_ms: int) -> range:
        """Return the indices of what was sent between two times, both included."""
        all_ = range(self.count)
        first = bisect_left(all_, from_ms, key=self.sent_ms)
        return range(first, max(first, bisect_right(all_, to_ms, key=self.sent_ms)))


class Rows:
    """The rendered rows of a spread of messages."""

    def __init__(self, spread: Spread, templates: list[Template], spell: Spell, name: Name) -> None:
        """`spell` writes a send time as the vendor does, `name` the id of the message at an index."""
        self.spread = spread
        self._templates = templates
        self._spell = spell
        self._name = name
        self._block = lru_cache(KEPT_BLOCKS)(self._render_block)

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
        sent = self._spell(self.spread.sent_ms(index)).encode()
        return self._templates[index % len(self._templates)] % {
            b"id": self._name(index).encode(),
            b"sent": sent,
            b"second": sent[:20] + b"000" + sent[23:],
            b"phone": b"%011d" % (35_000_000_000 + index * 7919 % 1_000_000_000),
        }


def edna_rows(spread: Spread) -> Rows:
    """Return rows as edna's pages show them; ids grow with the send time."""
    made_up = edna_messages(count=TEMPLATES, seed=0, days=DAYS, end_ms=DAYS * DAY_MS)
    rows = [edna.row(message, 2 * DAYS * DAY_MS) for message in made_up]
    places = {"messageId": "id", "sentOrReceivedAt": "sent", "deliveryStatusAt": "second", "address": "phone"}
    templates = [_template(row, places, bare="id") for row in rows if len(row) >= RICH_FIELDS]
    return Rows(spread, templates, edna_time, lambda index: str(FIRST_ID + 3 * index))


def gateway_rows(spread: Spread) -> Rows:
    """Return rows as the gateway's reference has them."""
    made_up = gateway_messages(count=TEMPLATES, seed=0, days=DAYS, end_ms=DAYS * DAY_MS)["SMS"]
    rows = [gateway.row(message, 2 * DAYS * DAY_MS, GatewayOptions()) for message in made_up]
    places = {"messageId": "id", "sendDate": "sent", "deliveryDate": "sent", "destination": "phone"}
    templates = [_template(row, places) for row in rows]
    return Rows(spread, templates, gateway_time, lambda index: f"{index:08x}-5c1d-4b52-8a3e-9d1f0c7be2a4")


def _template(row: Mapping[str, Any], places: Mapping[str, str], bare: str = "") -> Template:
    """Render a row with `%(name)b` for the values that `places` names; `bare` is a number, without quotes."""
    marked = {key: f"@{places[key]}@" if value and key in places else value for key, value in row.items()}
    rendered = msgspec.json.encode(marked).replace(b"%", b"%%")
    for name in set(places.values()):
        place = f"%({name})b" if name == bare else f'"%({name})b"'
        rendered = rendered.replace(f'"@{name}@"'.encode(), place.encode())
    return rendered
