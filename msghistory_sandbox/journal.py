"""The journal of requests to the emulated APIs: a record of each request, and counters."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from msghistory_sandbox.gateway import DEFAULT_LIMIT

MAX_RECORDED_REQUESTS = 100_000


@dataclass(slots=True)
class ReceivedRequest:
    """One request to an emulated API. Records whether it has credentials, but never their values."""

    at: float
    """`time.monotonic()` at arrival, seconds."""
    api: str
    """`edna`, `gateway`, or for the gateway's exports `exports` or `downloads`."""
    method: str
    path: str
    params: Mapping[str, Any]
    """The query string's values as text, or the body's JSON object."""
    credentials: bool
    offset: int
    """Number of rows that the request skips."""
    status: int | None = None
    """Response status; None while the request is in flight, or if its connection was reset."""
    rows: int = 0
    """Number of messages in the response, even if a fault truncates it."""


def read_params(query: Mapping[str, str], body: bytes) -> Mapping[str, Any]:
    """Return the parameters from the query string or the JSON body; empty if the body is invalid."""
    if not body:
        return dict(query)
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def skipped_rows(params: Mapping[str, Any]) -> int:
    """Return the number of rows to skip: edna's `offset`, or the gateway's `page` times `limit`."""
    try:
        page, limit = int(params.get("page", 0)), int(params.get("limit", DEFAULT_LIMIT))
        return max(0, int(params.get("offset", page * limit)))
    except (TypeError, ValueError):
        return 0


@dataclass(slots=True)
class Journal:
    """All requests since the start; written by the server's thread, readable from any thread."""

    requests: deque[ReceivedRequest] = field(default_factory=lambda: deque(maxlen=MAX_RECORDED_REQUESTS))
    watch: Callable[[ReceivedRequest], None] | None = None
    """Called with each request before it is processed; lets tests change data during a sync."""
    by_api: Counter[str] = field(default_factory=Counter)
    by_status: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    largest_offset: int = 0
    in_flight: int = 0
    max_in_flight: int = 0

    def record_request(self, request: ReceivedRequest) -> None:
        """Record a request at arrival."""
        self.requests.append(request)
        self.by_api[request.api] += 1
        self.largest_offset = max(self.largest_offset, request.offset)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        if self.watch is not None:
            self.watch(request)

    def record_response(self, request: ReceivedRequest, status: int | None) -> None:
        """Record a response before it is sent, so that clients that have received it see it counted.

        A status of None stands for a reset connection.
        """
        request.status = status
        self.rows += request.rows
        self.by_status["reset" if status is None else str(status)] += 1

    def record_end(self) -> None:
        """Record that a request is no longer in flight."""
        self.in_flight -= 1

    def stats(self) -> dict[str, Any]:
        """Return the counters as the body of `GET /sandbox/stats`."""
        return {
            "requests": dict(self.by_api),
            "answers": dict(self.by_status),
            "rows": self.rows,
            "largestOffset": self.largest_offset,
            "maxConcurrent": self.max_in_flight,
        }
