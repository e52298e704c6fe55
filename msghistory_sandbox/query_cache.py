"""Cached query results, so that the pages of one query do not filter and sort the history again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple

from msghistory_sandbox.history import History, Message

NEVER_MS = 1 << 62
MAX_CACHED_QUERIES = 32


class _CachedResult(NamedTuple):
    version: int
    valid_from_ms: int
    valid_until_ms: int
    messages: list[Message]


class QueryCache:
    """The complete results of a history's most recent queries.

    A cached result is valid only while the history is unchanged and the clock has not reached a time at
    which the result changes.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self._results: OrderedDict[Hashable, _CachedResult] = OrderedDict()

    def find(
        self,
        query: Hashable,
        clock_ms: int,
        select: Callable[[], tuple[list[Message], int]],
    ) -> list[Message]:
        """Return a query's messages; `select` computes them and the time (ms) until which they are valid."""
        version = self.history.version  # read first: a change during `select` must invalidate the result
        cached = self._results.get(query)
        if cached and cached.version == version and cached.valid_from_ms <= clock_ms < cached.valid_until_ms:
            self._results.move_to_end(query)
            return cached.messages
        messages, valid_until_ms = select()
        self._results[query] = _CachedResult(version, clock_ms, valid_until_ms, messages)
        self._results.move_to_end(query)
        if len(self._results) > MAX_CACHED_QUERIES:
            self._results.popitem(last=False)
        return messages


def visible_between(history: History, from_ms: int, to_ms: int, clock_ms: int) -> tuple[list[Message], int]:
    """Return the visible messages of a range, and the time (ms) at which the next one becomes visible."""
    found = history.between(from_ms, to_ms)
    visible = [message for message in found if message.visible_ms <= clock_ms]
    if len(visible) == len(found):
        return visible, NEVER_MS
    return visible, min(message.visible_ms for message in found if message.visible_ms > clock_ms)
