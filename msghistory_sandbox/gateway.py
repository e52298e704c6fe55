"""The partner gateway: `GET partner-gateway/v1/messages/history`, as the vendor's pages have it.

What the pages leave open is chosen so: a parameter that is missing or unreadable is a 400; every
status of the reference may be filtered by; a limit of any size is taken. Options choose between
the shapes and orders that the pages show or leave open.
"""

from __future__ import annotations

import hmac
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from msghistory_sandbox.answers import Answer, refusal
from msghistory_sandbox.faults import Faults
from msghistory_sandbox.history import History, Message, Selections, shown_between
from msghistory_sandbox.limits import RateLimit, too_many_requests
from msghistory_sandbox.options import GatewayOptions
from msghistory_sandbox.times import gateway_time, parse_us

PATH = "/api/partner-gateway/v1/messages/history"
CHANNELS = ("SMS", "RCS", "WHATSAPP")
DEFAULT_LIMIT = 20

DESCRIPTIONS = {
    "SENT": "Message sent",
    "RECEIVED": "Message received by the operator",
    "DELIVERED": "Message delivered",
    "ERROR": "Delivery failed",
    "EXPIRED": "Validity period expired",
    "UNKNOWN": "Delivery status unknown",
}


class Query(NamedTuple):
    """The request's parameters, read; bounds in epoch ms, both included."""

    channel: str
    from_ms: int
    to_ms: int
    status: str | None
    page: int
    limit: int


def read_query(params: Mapping[str, str]) -> Query:
    """Read the parameters; what is wrong with them comes as a ValueError."""
    for name in ("channel", "from", "to"):
        if not params.get(name):
            raise ValueError(f"Required parameter '{name}' is not present")
    channel, status = params["channel"], params.get("status")
    if channel not in CHANNELS:
        raise ValueError("channel must be one of SMS, RCS, WHATSAPP")
    if status is not None and status not in DESCRIPTIONS:
        raise ValueError("status is unknown")
    page, limit = int(params.get("page", "0")), int(params.get("limit", str(DEFAULT_LIMIT)))
    if page < 0 or limit < 1:
        raise ValueError("page must be at least 0, limit at least 1")
    # Whole ms within the bounds: up from the one, down from the other.
    from_ms, to_ms = -(-parse_us(params["from"]) // 1000), parse_us(params["to"]) // 1000
    return Query(channel, from_ms, to_ms, status, page, limit)


def row(message: Message, clock_ms: int, options: GatewayOptions) -> dict[str, Any]:
    """Render a message as of a moment, in the shape that the options name."""
    status = message.status_at(clock_ms)[1]
    delivered_ms = message.reached("DELIVERED", clock_ms)
    properties: dict[str, Any] = {
        "messageId": message.id,
        "channel": message.channel,
        "sender": "",
        "destination": message.address,
        "body": message.text,
        "sendDate": _spelt(message.sent_ms, options),
        "deliveryDate": None if delivered_ms is None else _spelt(delivered_ms, options),
        "cost": 0.0,
        "parts": 1,
    }
    if options.shape == "guide":
        properties |= {"direction": "OUTBOUND", "status": status}
        return message.overrule(properties)
    if message.customer_id is not None:
        properties["customerMessageId"] = message.customer_id
    stem = "deliveryStato" if options.shape == "translated" else "deliveryStatus"
    properties |= {stem: status, f"{stem}Description": DESCRIPTIONS.get(status)}
    return message.overrule(properties)


def _spelt(ms: int, options: GatewayOptions) -> str:
    return gateway_time(ms // 1000 * 1000 if options.whole_seconds else ms)


class GatewayApi:
    """Answers requests from one history a channel."""

    def __init__(
        self,
        histories: Mapping[str, History],
        options: GatewayOptions,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Serve these channels' histories; `now` is the rate limit's clock."""
        self._options = options
        self._selections = {channel: Selections(histories[channel]) for channel in CHANNELS}
        self._limit = RateLimit(now)

    def answer(
        self, headers: Mapping[str, str], params: Mapping[str, str], clock_ms: int, faults: Faults
    ) -> Answer:
        """Answer a request; header names in lower case."""
        return self.guard(headers, faults, lambda: self._serve(read_query(params), clock_ms, faults))

    def guard(self, headers: Mapping[str, str], faults: Faults, serve: Callable[[], Answer]) -> Answer:
        """Answer those who have credentials and keep the rate limit; a ValueError of `serve` is a 400."""
        options = self._options
        if not self._knows(headers):
            return refusal(401, "Invalid credentials")
        if options.refuse_ip:
            return refusal(403, "IP address not allowed")
        allowance = self._limit.take(options.requests_per_minute, options.requests_per_second)
        if not allowance.allowed:
            answer = too_many_requests(faults.retry_after, allowance.wait_s)
        else:
            try:
                answer = serve()
            except ValueError as problem:
                answer = refusal(400, str(problem))
        if options.requests_per_minute:
            answer.headers["X-RateLimit-Limit"] = str(options.requests_per_minute)
            answer.headers["X-RateLimit-Remaining"] = str(allowance.remaining)
        return answer

    def _knows(self, headers: Mapping[str, str]) -> bool:
        """Check the key where there is one, else the user and password."""
        options = self._options
        if "x-api-key" in headers:
            return hmac.compare_digest(headers["x-api-key"].encode(), options.key.encode())
        pair = b64encode(f"{options.username}:{options.password}".encode())
        given = headers.get("authorization", "").removeprefix("Basic ")
        return hmac.compare_digest(given.encode(), pair)

    def _serve(self, query: Query, clock_ms: int, faults: Faults) -> Answer:
        options = self._options
        selections = self._selections[query.channel]

        def select() -> tuple[list[Message], int]:
            bounds = query.from_ms, query.to_ms
            found, until_ms = shown_between(selections.history, *bounds, clock_ms)
            if query.status is not None:
                found = [m for m in found if m.status_at(clock_ms)[1] == query.status]
                until_ms = clock_ms + 1
            if not options.oldest_first:
                found.reverse()
            return found, until_ms

        key = query.from_ms, query.to_ms, query.status, options.oldest_first
        messages = selections.find(key, clock_ms, select)
        step = query.limit if faults.page_cap_skip == "asked" else faults.cap(query.limit)
        page, _ = faults.page(messages, query.page * step, query.limit)
        rows = [row(message, clock_ms, options) for message in page]
        body = {"messages": rows} if options.shape == "guide" else rows
        return Answer(200, body, {}, len(rows))
