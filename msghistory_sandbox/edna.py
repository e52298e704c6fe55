"""edna Pulse: `POST /api/messages/history`, as the vendor's page of April 2025 has it.

What the page leaves open is chosen so: no `sort` is newest first; a body that is no JSON object, or
has a property of another type or an unknown enumeration value, is `not-valid-request`; `dateFrom`
after `dateTo` is an empty list. Error bodies carry the columns of the page's table.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple
from functools import partial
from typing import Any
from zlib import crc32

import msgspec

from msghistory_sandbox.answers import Answer
from msghistory_sandbox.edna_query import NEWEST_FIRST, Query, find, range_us, sort
from msghistory_sandbox.faults import Faults
from msghistory_sandbox.history import History, Message, Selections
from msghistory_sandbox.limits import RateLimit, too_many_requests
from msghistory_sandbox.options import EdnaOptions
from msghistory_sandbox.times import DAY_MS, edna_time

PATH = "/api/messages/history"
MAX_LIMIT = 1000
MAX_DAYS = 366

STATUS_MESSAGES = {"INVALID": "Invalid address", "UNDELIVERED": "Subscriber is unavailable"}


def error(status: int, name: str, description: str) -> Answer:
    """Build a body of the columns of the page's error table."""
    return Answer(status, {"code": status, "error": name, "description": description}, {})


def row(message: Message, clock_ms: int) -> dict[str, Any]:
    """Render a message as of a moment."""
    since_ms, status = message.status_at(clock_ms)
    text = msgspec.json.encode(message.text).decode()
    properties: dict[str, Any] = {
        "messageId": message.id,
        "channelType": message.channel,
        "direction": message.direction,
        "address": message.address,
        "content": f'{{"text": {text}, "type": "TEXT"}}',
        "deliveryStatus": status,
        # The page's examples have status times in whole seconds, even before the send.
        "deliveryStatusAt": edna_time(since_ms // 1000 * 1000),
        "sentOrReceivedAt": edna_time(message.sent_ms),
        "subscriberId": crc32(message.address.encode()) % 100_000_000,
    }
    if status in STATUS_MESSAGES:
        properties["deliveryStatusMessage"] = STATUS_MESSAGES[status]
    return message.overrule(properties)


class EdnaApi:
    """Answers requests from a history."""

    def __init__(
        self,
        history: History,
        options: EdnaOptions,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Serve a history; `now` is the rate limit's clock."""
        self._history = history
        self._options = options
        self._selections = Selections(history)
        self._limit = RateLimit(now)
        self._subjects: tuple[int, frozenset[object]] = (-1, frozenset())

    def answer(self, headers: Mapping[str, str], body: bytes, clock_ms: int, faults: Faults) -> Answer:
        """Answer a request; header names in lower case."""
        options = self._options
        if not hmac.compare_digest(headers.get("x-api-key", "").encode(), options.key.encode()):
            return error(401, "Api key not found", "Invalid API key specified.")
        allowance = self._limit.take(options.requests_per_minute, options.requests_per_second)
        if not allowance.allowed:
            return too_many_requests(faults.retry_after, allowance.wait_s)
        try:
            query = msgspec.json.decode(body, type=Query)
            bounds_us = range_us(query, clock_ms)
        except ValueError as problem:  # msgspec's errors are ValueErrors too
            return error(400, "not-valid-request", str(problem))
        return self._refuse(query, bounds_us) or self._serve(query, bounds_us, clock_ms, faults)

    def _refuse(self, query: Query, bounds_us: tuple[int, int]) -> Answer | None:
        if query.limit > MAX_LIMIT:
            return error(400, "limit-not-valid", f"The limit is greater than {MAX_LIMIT}.")
        if bounds_us[1] - bounds_us[0] > MAX_DAYS * DAY_MS * 1000:
            return error(400, "date-range-not-valid", f"The range exceeds {MAX_DAYS} days.")
        if query.subscriber_filter and not query.subscriber_filter.address:
            return error(400, "not-valid-request", "An empty value of address is specified.")
        if query.message_id is not None and query.direction is None:
            return error(400, "not-valid-request", "messageId requires direction.")
        if query.subject_id is not None and query.subject_id not in self._known_subjects():
            return error(400, "message-matcher-subject-not-found", "Invalid subjectId specified.")
        return None

    def _serve(self, query: Query, bounds_us: tuple[int, int], clock_ms: int, faults: Faults) -> Answer:
        keys = query.sort or NEWEST_FIRST

        def select() -> tuple[list[Message], int]:
            found, until_ms = find(self._history, query, bounds_us, clock_ms, self._options)
            if faults.unstable_ties:
                faults.chance.shuffle(found)
            sort(found, keys, partial(row, clock_ms=clock_ms))
            by_status = any(key.property.startswith("deliveryStatus") for key in keys)
            return found, clock_ms + 1 if by_status else until_ms

        if faults.unstable_ties:
            messages, _ = select()
        else:
            unpaged = msgspec.structs.replace(query, offset=0, limit=0)
            key = unpaged, bounds_us, astuple(self._options)
            messages = self._selections.find(key, clock_ms, select)
        page, more = faults.page(messages, query.offset, query.limit)
        content = [row(message, clock_ms) for message in page]
        return Answer(200, {"content": content, "hasNext": more}, {}, len(content))

    def _known_subjects(self) -> frozenset[object]:
        version = self._history.version
        if self._subjects[0] != version:
            found = frozenset(message.fields.get("subjectId") for message in self._history)
            self._subjects = version, found
        return self._subjects[1]
