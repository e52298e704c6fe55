"""Messages and HTTP requests for the tests of the sandbox itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from msghistory_sandbox import Clock, Message, Sandbox
from msghistory_sandbox.times import parse_ms

Options = dict[str, Any] | None

HOUR_MS = 3_600_000
NOW = parse_ms("2026-03-20T12:00:00Z")
EDNA_KEY = {"x-api-key": "sandbox-edna-key"}
GATEWAY_KEY = {"X-Api-Key": "sandbox-gateway-key"}
ALWAYS = {"from": "2020-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z"}
LAST_YEAR = {"dateFrom": "2025-03-25T00:00:00Z", "dateTo": "2026-03-24T00:00:00Z"}


@contextmanager
def empty_sandbox() -> Iterator[Sandbox]:
    """Serve an empty sandbox with default options, whose clock is frozen at NOW."""
    with Sandbox(clock=Clock(NOW, frozen=True)).serve() as sandbox:
        yield sandbox


def edna_message(number: int, **changes: Any) -> Message:
    """Build a message of edna, sent `number` hours before NOW."""
    defaults: dict[str, Any] = {
        "id": number,
        "sent_ms": NOW - number * HOUR_MS,
        "channel": "SMS",
        "address": "35000000000",
    }
    return Message(**(defaults | changes))


def gateway_message(number: int, **changes: Any) -> Message:
    """Build a message of the gateway, sent `number` hours before NOW."""
    defaults: dict[str, Any] = {
        "id": f"00000000-0000-4000-a000-{number:012d}",
        "sent_ms": NOW - number * HOUR_MS,
    }
    return Message(**(defaults | {"channel": "SMS", "text": "Ciao"} | changes))


def request_edna(
    sandbox: Sandbox, body: Options = None, headers: Options = None, **settings: Any
) -> requests.Response:
    """Request messages of edna; a property of `body` that is None is omitted."""
    url = f"{sandbox.edna_base_url}/api/messages/history"
    body = {"limit": 1000} | LAST_YEAR | (body or {})
    body = {name: value for name, value in body.items() if value is not None}
    headers = EDNA_KEY if headers is None else headers
    return requests.post(url, json=body, headers=headers, timeout=5, **settings)


def request_gateway(
    sandbox: Sandbox, params: Options = None, headers: Options = None, **settings: Any
) -> requests.Response:
    """Request messages of the gateway; a parameter that is None is omitted."""
    url = f"{sandbox.gateway_base_url}/partner-gateway/v1/messages/history"
    params = {"channel": "SMS"} | ALWAYS | (params or {})
    headers = GATEWAY_KEY if headers is None else headers
    return requests.get(url, params=params, headers=headers, timeout=5, **settings)


def edna_ids(sandbox: Sandbox, **body: Any) -> list[int]:
    """Request messages of edna, and return their IDs."""
    response = request_edna(sandbox, body)
    assert response.status_code == 200, response.text
    return [row["messageId"] for row in response.json()["content"]]


def gateway_ids(sandbox: Sandbox, **params: Any) -> list[int]:
    """Request messages of the gateway, and return their numbers."""
    response = request_gateway(sandbox, params)
    assert response.status_code == 200, response.text
    return [int(row["messageId"][-12:]) for row in response.json()]
