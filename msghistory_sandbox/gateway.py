"""The partner gateway: `GET partner-gateway/v1/messages/history`, as documented by the vendor.

Choices where the documentation is silent: a missing or invalid parameter is a 400; the status filter accepts
every status of the reference; `limit` has no maximum. Where the documentation contradicts itself, and for the
order of the rows, an option selects the behaviour.
"""

from __future__ import annotations

import hmac
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from msghistory_sandbox.faults import Faults
from msghistory_sandbox.history import History, Message
from msghistory_sandbox.options import GatewayOptions
from msghistory_sandbox.query_cache import QueryCache, visible_between
from msghistory_sandbox.rate_limit import RateLimiter, too_many_requests
from msghistory_sandbox.responses import ApiResponse, error_response
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
    """The parsed parameters of a request; bounds in epoch ms, both included."""

    channel: str
    from_ms: int
    to_ms: int
    status: str | None
    page: int
    limit: int


def read_query(params: Mapping[str, str]) -> Query:
    """Parse the parameters. Raise ValueError if they are invalid."""
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
    # Round the bounds inward to whole ms.
    from_ms, to_ms = -(-parse_us(params["from"]) // 1000), parse_us(params["to"]) // 1000
    return Query(channel, from_ms, to_ms, status, page, limit)


def row(message: Message, clock_ms: int, options: GatewayOptions) -> dict[str, Any]:
    """Render a message as a row of the response, with its status at `clock_ms`, in the configured shape."""
    status = message.status_at(clock_ms)[1]
    delivered_ms = message.first_reached_ms("DELIVERED", clock_ms)
    properties: dict[str, Any] = {
        "messageId": message.id,
        "channel": message.channel,
        "sender": "",
        "destination": message.address,
        "body": message.text,
        "sendDate": _format_time(message.sent_ms, options),
        "deliveryDate": None if delivered_ms is None else _format_time(delivered_ms, options),
        "cost": 0.0,
        "parts": 1,
    }
    if options.shape == "guide":
        properties |= {"direction": "OUTBOUND", "status": status}
        return message.with_overrides(properties)
    if message.customer_id is not None:
        properties["customerMessageId"] = message.customer_id
    prefix = "deliveryStato" if options.shape == "translated" else "deliveryStatus"
    properties |= {prefix: status, f"{prefix}Description": DESCRIPTIONS.get(status)}
    return message.with_overrides(properties)


def _format_time(ms: int, options: GatewayOptions) -> str:
    return gateway_time(ms // 1000 * 1000 if options.whole_seconds else ms)


class GatewayApi:
    """Handles requests to the gateway's message history, which has one history per channel.

    `now` is the clock of the rate limit, in seconds.
    """

    def __init__(
        self,
        histories: Mapping[str, History],
        options: GatewayOptions,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._caches = {channel: QueryCache(histories[channel]) for channel in CHANNELS}
        self._rate_limiter = RateLimiter(now)

    def handle(
        self, headers: Mapping[str, str], params: Mapping[str, str], clock_ms: int, faults: Faults
    ) -> ApiResponse:
        """Return the response to a request; header names are in lower case."""
        return self.guard(headers, faults, lambda: self._respond(read_query(params), clock_ms, faults))

    def guard(
        self, headers: Mapping[str, str], faults: Faults, handler: Callable[[], ApiResponse]
    ) -> ApiResponse:
        """Check credentials and rate limit, then call `handler`; its ValueError becomes a 400."""
        options = self._options
        if not self._authenticates(headers):
            return error_response(401, "Invalid credentials")
        if options.refuse_ip:
            return error_response(403, "IP address not allowed")
        allowance = self._rate_limiter.acquire(options.requests_per_minute, options.requests_per_second)
        if not allowance.allowed:
            response = too_many_requests(faults.retry_after, allowance.wait_s)
        else:
            try:
                response = handler()
            except ValueError as error:
                response = error_response(400, str(error))
        if options.requests_per_minute:
            response.headers["X-RateLimit-Limit"] = str(options.requests_per_minute)
            response.headers["X-RateLimit-Remaining"] = str(allowance.remaining)
        return response

    def _authenticates(self, headers: Mapping[str, str]) -> bool:
        """Check the API key if the request has one, otherwise username and password."""
        options = self._options
        if "x-api-key" in headers:
            return hmac.compare_digest(headers["x-api-key"].encode(), options.key.encode())
        expected = b64encode(f"{options.username}:{options.password}".encode())
        given = headers.get("authorization", "").removeprefix("Basic ")
        return hmac.compare_digest(given.encode(), expected)

    def _respond(self, query: Query, clock_ms: int, faults: Faults) -> ApiResponse:
        options = self._options
        cache = self._caches[query.channel]

        def select() -> tuple[list[Message], int]:
            bounds = query.from_ms, query.to_ms
            found, valid_until_ms = visible_between(cache.history, *bounds, clock_ms)
            if query.status is not None:
                found = [message for message in found if message.status_at(clock_ms)[1] == query.status]
                valid_until_ms = clock_ms + 1
            if not options.oldest_first:
                found.reverse()
            return found, valid_until_ms

        key = query.from_ms, query.to_ms, query.status, options.oldest_first
        messages = cache.find(key, clock_ms, select)
        page_size = query.limit if faults.page_cap_skip == "asked" else faults.cap(query.limit)
        page, _ = faults.page(messages, query.page * page_size, query.limit)
        rows = [row(message, clock_ms, options) for message in page]
        body = {"messages": rows} if options.shape == "guide" else rows
        return ApiResponse(200, body, {}, len(rows))
