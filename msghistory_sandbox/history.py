"""What a vendor holds: messages in send order, each with the statuses it goes through."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

NEVER_MS = 1 << 62
REMEMBERED_QUERIES = 32


class Message(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One message of either vendor; a Struct because histories hold hundreds of thousands.

    `lifecycle` is `(ms after the send, status)`, ascending; being relative, one tuple serves many
    messages. `fields` are the remaining properties of the
    rendered row and overrule the others; `msgspec.UNSET` takes a property away, so that a test
    can make any odd row.
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
    """When the API begins to show it; never before the send."""
    fields: Mapping[str, object] = {}

    def __post_init__(self) -> None:
        """See to it that nothing is shown before it is sent."""
        if self.visible_ms < self.sent_ms:
            msgspec.structs.force_setattr(self, "visible_ms", self.sent_ms)

    def status_at(self, clock_ms: int) -> tuple[int, str]:
        """Find the status at a moment, and since when (epoch ms) it is so."""
        age = clock_ms - self.sent_ms
        for after, status in reversed(self.lifecycle):
            if after <= age:
                return self.sent_ms + after, status
        after, status = self.lifecycle[0]
        return self.sent_ms + after, status

    def reached(self, status: str, clock_ms: int) -> int | None:
        """When it first had a status (epoch ms), if it has by the moment."""
        age = clock_ms - self.sent_ms
        return next(
            (self.sent_ms + after for after, at in self.lifecycle if at == status and after <= age),
            None,
        )

    def overrule(self, properties: dict[str, Any]) -> dict[str, Any]:
        """Put the message's own fields over the rendered properties."""
        properties.update(self.fields)
        if msgspec.UNSET not in self.fields.values():
            return properties
        return {name: value for name, value in properties.items() if value is not msgspec.UNSET}


def _send_order(message: Message) -> tuple[int, int | str]:
    return message.sent_ms, message.id


class History:
    """Messages sorted by send time. Safe to change from one thread while another reads."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        """Take messages in any order; two with the same id: ValueError."""
        self._lock = threading.Lock()
        self._messages = sorted(messages, key=_send_order)
        self._by_id = {message.id: message for message in self._messages}
        if len(self._by_id) < len(self._messages):
            raise ValueError("two messages of a history have the same id")
        self.version = 0
        """Grows with each change."""

    def __len__(self) -> int:
        """Count the messages, shown or not."""
        return len(self._messages)

    def __iter__(self) -> Iterator[Message]:
        """Go through a copy, in send order."""
        with self._lock:
            return iter(self._messages.copy())

    def get(self, message_id: int | str) -> Message | None:
        """Find a message by its id."""
        return self._by_id.get(message_id)

    def add(self, *messages: Message) -> None:
        """Put messages in, late ones (an older send time) too. An id that is there: ValueError."""
        with self._lock:
            for message in messages:
                if message.id in self._by_id:
                    raise ValueError(f"message {message.id} is in the history already")
                self._by_id[message.id] = message
                insort(self._messages, message, key=_send_order)
            self.version += 1

    def replace(self, message: Message) -> None:
        """Put a message in the place of the one with its id. No such id: KeyError."""
        with self._lock:
            old = self._by_id[message.id]
            del self._messages[bisect_left(self._messages, _send_order(old), key=_send_order)]
            insort(self._messages, message, key=_send_order)
            self._by_id[message.id] = message
            self.version += 1

    def set_status(self, message_id: int | str, status: str, at_ms: int) -> None:
        """Let a message have a status from a moment on, whatever was to come later."""
        old = self._by_id[message_id]
        after = at_ms - old.sent_ms
        kept = tuple(step for step in old.lifecycle if step[0] < after)
        self.replace(msgspec.structs.replace(old, lifecycle=(*kept, (after, status))))

    def between(self, from_ms: int, to_ms: int) -> list[Message]:
        """Messages sent in a stretch of time, both ends included, in send order."""
        with self._lock:
            first = bisect_left(self._messages, from_ms, key=lambda message: message.sent_ms)
            last = bisect_right(self._messages, to_ms, key=lambda message: message.sent_ms)
            return self._messages[first:last]

    def visible(self, clock_ms: int) -> list[Message]:
        """All that the API shows at a moment, in send order."""
        return [message for message in self if message.visible_ms <= clock_ms]


class _Selection(NamedTuple):
    version: int
    since_ms: int
    until_ms: int
    messages: list[Message]


class Selections:
    """The whole results of a history's last few queries, so that pages are not sorted anew.

    A result is used again only while it is certainly the same: no change of the history, and no
    moment passed at which the clock alone changes it.
    """

    def __init__(self, history: History) -> None:
        """Begin with none known."""
        self.history = history
        self._known: OrderedDict[Hashable, _Selection] = OrderedDict()

    def find(
        self,
        query: Hashable,
        clock_ms: int,
        select: Callable[[], tuple[list[Message], int]],
    ) -> list[Message]:
        """Messages that answer the query; `select` gives them with the ms until which they do."""
        version = self.history.version  # before the reading: a change during it makes it stale
        known = self._known.get(query)
        if known and known.version == version and known.since_ms <= clock_ms < known.until_ms:
            self._known.move_to_end(query)
            return known.messages
        messages, until_ms = select()
        self._known[query] = _Selection(version, clock_ms, until_ms, messages)
        self._known.move_to_end(query)
        if len(self._known) > REMEMBERED_QUERIES:
            self._known.popitem(last=False)
        return messages


def shown_between(history: History, from_ms: int, to_ms: int, clock_ms: int) -> tuple[list[Message], int]:
    """Find what is shown of a stretch at a moment, and the ms at which it begins to be more."""
    found = history.between(from_ms, to_ms)
    shown = [message for message in found if message.visible_ms <= clock_ms]
    if len(shown) == len(found):
        return shown, NEVER_MS
    return shown, min(message.visible_ms for message in found if message.visible_ms > clock_ms)
