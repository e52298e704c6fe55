"""What was asked of the sandbox: every request as a small record, and counts of all of them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from msghistory_sandbox.gateway import DEFAULT_LIMIT

KEPT_REQUESTS = 100_000


@dataclass(slots=True)
class ReceivedRequest:
    """One request to a vendor's API. Whether it came with credentials, but never which."""

    at: float
    """`time.monotonic()` seconds at arrival."""
    api: str
    """`edna`, `gateway`, its `exports`, or `downloads` of these."""
    method: str
    path: str
    params: Mapping[str, Any]
    """The query string's values as text, or the body's JSON object."""
    credentials: bool
    offset: int
    """Rows that it skips."""
    status: int | None = None
    """As answered; None while it is in flight and where the connection was reset instead."""
    rows: int = 0
    """Messages in the answer, also where a fault cut it short."""


def read_params(query: Mapping[str, str], body: bytes) -> Mapping[str, Any]:
    """Parameters in one form for all APIs; empty if they cannot be read."""
    if not body:
        return dict(query)
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}


def skipped_rows(params: Mapping[str, Any]) -> int:
    """How deep a request reads: edna's offset, or the gateway's page times its limit."""
    try:
        page, limit = int(params.get("page", 0)), int(params.get("limit", DEFAULT_LIMIT))
        return max(0, int(params.get("offset", page * limit)))
    except (TypeError, ValueError):
        return 0


@dataclass(slots=True)
class Journal:
    """All requests since the start; touched by the server's thread, read by any."""

    requests: deque[ReceivedRequest] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    watch: Callable[[ReceivedRequest], None] | None = None
    """Called with each request before it is served: a test's chance to change things midway."""
    by_api: Counter[str] = field(default_factory=Counter)
    by_status: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    largest_offset: int = 0
    in_flight: int = 0
    most_in_flight: int = 0

    def begin(self, request: ReceivedRequest) -> None:
        """Note a request that has come in."""
        self.requests.append(request)
        self.by_api[request.api] += 1
        self.largest_offset = max(self.largest_offset, request.offset)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        if self.watch is not None:
            self.watch(request)

    def answer(self, request: ReceivedRequest, status: int | None) -> None:
        """Note what it is answered, before it is: who has the answer can rely on the counts."""
        request.status = status
        self.rows += request.rows
        self.by_status["reset" if status is None else str(status)] += 1

    def end(self) -> None:
        """Note that one is done with."""
        self.in_flight -= 1

    def stats(self) -> dict[str, Any]:
        """Give the counts for the control API."""
        return {
            "requests": dict(self.by_api),
            "answers": dict(self.by_status),
            "rows": self.rows,
            "largestOffset": self.largest_offset,
            "maxConcurrent": self.most_in_flight,
        }
