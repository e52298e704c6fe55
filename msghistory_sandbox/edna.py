"""edna Pulse: `POST /api/messages/history`, as documented by the vendor in April 2025.

Choices where the documentation is silent: without `sort`, the newest messages come first; a body that is not
a JSON object, a property of an unexpected type, or an unknown enumeration value is `not-valid-request`; a
`dateFrom` after `dateTo` returns an empty list. The fields of error bodies are the columns of the documented
error table.
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

from msghistory_sandbox.edna_query import NEWEST_FIRST, Query, find, range_us, sort
from msghistory_sandbox.faults import Faults
from msghistory_sandbox.history import History, Message
from msghistory_sandbox.options import EdnaOptions
from msghistory_sandbox.query_cache import QueryCache
from msghistory_sandbox.rate_limit import RateLimiter, too_many_requests
from msghistory_sandbox.responses import ApiResponse
from msghistory_sandbox.times import DAY_MS, edna_time

PATH = "/api/messages/history"
MAX_LIMIT = 1000
MAX_DAYS = 366

STATUS_MESSAGES = {"INVALID": "Invalid address", "UNDELIVERED": "Subscriber is unavailable"}


def error_response(status: int, name: str, description: str) -> ApiResponse:
    """Build an error whose fields are the columns of the documented error table."""
    return ApiResponse(status, {"code": status, "error": name, "description": description}, {})


def row(message: Message, clock_ms: int) -> dict[str, Any]:
    """Render a message as a row of the response, with its status at `clock_ms`."""
    changed_ms, status = message.status_at(clock_ms)
    text = msgspec.json.encode(message.text).decode()
    properties: dict[str, Any] = {
        "messageId": message.id,
        "channelType": message.channel,
        "direction": message.direction,
        "address": message.address,
        "content": f'{{"text": {text}, "type": "TEXT"}}',
        "deliveryStatus": status,
        # In the documented examples, status times have whole seconds, even if that precedes the send time.
        "deliveryStatusAt": edna_time(changed_ms // 1000 * 1000),
        "sentOrReceivedAt": edna_time(message.sent_ms),
        "subscriberId": crc32(message.address.encode()) % 100_000_000,
    }
    if status in STATUS_MESSAGES:
        properties["deliveryStatusMessage"] = STATUS_MESSAGES[status]
    return message.with_overrides(properties)


class EdnaApi:
    """Handles requests to edna's message history; `now` is the clock of the rate limit, in seconds."""

    def __init__(
        self,
        history: History,
        options: EdnaOptions,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._history = history
        self._options = options
        self._cache = QueryCache(history)
        self._rate_limiter = RateLimiter(now)
        self._subjects: tuple[int, frozenset[object]] = (-1, frozenset())

    def handle(self, headers: Mapping[str, str], body: bytes, clock_ms: int, faults: Faults) -> ApiResponse:
        """Return the response to a request; header names are in lower case."""
        options = self._options
        if not hmac.compare_digest(headers.get("x-api-key", "").encode(), options.key.encode()):
            return error_response(401, "Api key not found", "Invalid API key specified.")
        allowance = self._rate_limiter.acquire(options.requests_per_minute, options.requests_per_second)
        if not allowance.allowed:
            return too_many_requests(faults.retry_after, allowance.wait_s)
        try:
            query = msgspec.json.decode(body, type=Query)
            bounds_us = range_us(query, clock_ms)
        except ValueError as error:  # includes msgspec's errors
            return error_response(400, "not-valid-request", str(error))
        return self._validate(query, bounds_us) or self._respond(query, bounds_us, clock_ms, faults)

    def _validate(self, query: Query, bounds_us: tuple[int, int]) -> ApiResponse | None:
        if query.limit > MAX_LIMIT:
            return error_response(400, "limit-not-valid", f"The limit is greater than {MAX_LIMIT}.")
        if bounds_us[1] - bounds_us[0] > MAX_DAYS * DAY_MS * 1000:
            return error_response(400, "date-range-not-valid", f"The range exceeds {MAX_DAYS} days.")
        if query.subscriber_filter and not query.subscriber_filter.address:
            return error_response(400, "not-valid-request", "An empty value of address is specified.")
        if query.message_id is not None and query.direction is None:
            return error_response(400, "not-valid-request", "messageId requires direction.")
        if query.subject_id is not None and query.subject_id not in self._known_subjects():
            return error_response(400, "message-matcher-subject-not-found", "Invalid subjectId specified.")
        return None

    def _respond(
        self, query: Query, bounds_us: tuple[int, int], clock_ms: int, faults: Faults
    ) -> ApiResponse:
        keys = query.sort or NEWEST_FIRST

        def select() -> tuple[list[Message], int]:
            found, valid_until_ms = find(self._history, query, bounds_us, clock_ms, self._options)
            if faults.unstable_ties:
                faults.chance.shuffle(found)
            sort(found, keys, partial(row, clock_ms=clock_ms))
            by_status = any(key.property.startswith("deliveryStatus") for key in keys)
            return found, clock_ms + 1 if by_status else valid_until_ms

        if faults.unstable_ties:
            messages, _ = select()
        else:
            without_page = msgspec.structs.replace(query, offset=0, limit=0)
            key = without_page, bounds_us, astuple(self._options)
            messages = self._cache.find(key, clock_ms, select)
        page, has_next = faults.page(messages, query.offset, query.limit)
        content = [row(message, clock_ms) for message in page]
        return ApiResponse(200, {"content": content, "hasNext": has_next}, {}, len(content))

    def _known_subjects(self) -> frozenset[object]:
        version = self._history.version
        if self._subjects[0] != version:
            found = frozenset(message.fields.get("subjectId") for message in self._history)
            self._subjects = version, found
        return self._subjects[1]
