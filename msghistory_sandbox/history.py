"""The messages of one vendor in send order, each with its status lifecycle."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec


class Message(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One message of either vendor; a Struct because histories hold hundreds of thousands.

    `lifecycle` holds pairs `(ms after the send, status)`, ascending; because the times are relative, many
    messages share one tuple. `fields` holds the other properties of the rendered row and takes precedence
    over the computed ones; a value of `msgspec.UNSET` removes a property, so that tests can build malformed
    rows.
    """

    id: int | str
    sent_ms: int
    channel: str
    direction: str = "OUT"
    address: str = ""
    text: str = ""
    customer_id: str | None = None
    """The gateway's `customerMessageId`."""
    lifecycle: tuple[tuple[int, str], ...] = ((0, "SENT"),)
    visible_ms: int = 0
    """Time from which the API returns the message (epoch ms); never before `sent_ms`."""
    fields: Mapping[str, object] = {}

    def __post_init__(self) -> None:
        """Raise `visible_ms` to at least `sent_ms`."""
        if self.visible_ms < self.sent_ms:
            msgspec.structs.force_setattr(self, "visible_ms", self.sent_ms)

    def status_at(self, clock_ms: int) -> tuple[int, str]:
        """Return the status at a time, and the time of its last change (epoch ms)."""
        age = clock_ms - self.sent_ms
        for after, status in reversed(self.lifecycle):
            if after <= age:
                return self.sent_ms + after, status
        after, status = self.lifecycle[0]
        return self.sent_ms + after, status

    def first_reached_ms(self, status: str, clock_ms: int) -> int | None:
        """Return when the message first had a status (epoch ms), or None if not yet at `clock_ms`."""
        age = clock_ms - self.sent_ms
        return next(
            (self.sent_ms + after for after, step in self.lifecycle if step == status and after <= age),
            None,
        )

    def with_overrides(self, properties: dict[str, Any]) -> dict[str, Any]:
        """Apply the message's `fields` to the rendered properties."""
        properties.update(self.fields)
        if msgspec.UNSET not in self.fields.values():
            return properties
        return {name: value for name, value in properties.items() if value is not msgspec.UNSET}


def _send_order(message: Message) -> tuple[int, int | str]:
    return message.sent_ms, message.id


class History:
    """Messages sorted by send time. One thread can change it while others read.

    Accepts messages in any order; raises ValueError if two have the same ID.
    """

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self._lock = threading.Lock()
        self._messages = sorted(messages, key=_send_order)
        self._by_id = {message.id: message for message in self._messages}
        if len(self._by_id) < len(self._messages):
            raise ValueError("two messages in a history have the same id")
        self.version = 0
        """Incremented with each change."""

    def __len__(self) -> int:
        """Count all messages, visible or not."""
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        """Iterate over a copy, in send order."""
        with self._lock:
            return iter(self._messages.copy())

    def get(self, message_id: int | str) -> Message | None:
        """Return the message with an ID, or None."""
        return self._by_id.get(message_id)

    def add(self, *messages: Message) -> None:
        """Add messages, including ones with an older send time. Raise ValueError if an ID exists."""
        with self._lock:
            for message in messages:
                if message.id in self._by_id:
                    raise ValueError(f"message {message.id} already exists in the history")
                self._by_id[message.id] = message
                insort(self._messages, message, key=_send_order)
            self.version += 1

    def replace(self, message: Message) -> None:
        """Replace the message with the same ID. Raise KeyError if it does not exist."""
        with self._lock:
            old = self._by_id[message.id]
            del self._messages[bisect_left(self._messages, _send_order(old), key=_send_order)]
            insort(self._messages, message, key=_send_order)
            self._by_id[message.id] = message
            self.version += 1

    def set_status(self, message_id: int | str, status: str, at_ms: int) -> None:
        """Set a message's status from a time on (epoch ms), and discard its later statuses."""
        old = self._by_id[message_id]
        after = at_ms - old.sent_ms
        kept = tuple(step for step in old.lifecycle if step[0] < after)
        self.replace(msgspec.structs.replace(old, lifecycle=(*kept, (after, status))))

    def between(self, from_ms: int, to_ms: int) -> list[Message]:
        """Return the messages sent in a range, both bounds included, in send order."""
        with self._lock:
            first = bisect_left(self._messages, from_ms, key=lambda message: message.sent_ms)
            last = bisect_right(self._messages, to_ms, key=lambda message: message.sent_ms)
            return self._messages[first:last]

    def visible(self, clock_ms: int) -> list[Message]:
        """Return all messages visible in the API at a time, in send order."""
        return [message for message in self if message.visible_ms <= clock_ms]
