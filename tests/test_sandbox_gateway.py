"""The emulated partner gateway API, statement by statement of the vendor's documentation."""

from __future__ import annotations

import pytest
import requests

from msghistory_sandbox import GatewayOptions, History, Sandbox
from msghistory_sandbox.times import gateway_time, parse_ms, utc_time
from tests.sandbox_client import (
    ALWAYS,
    GATEWAY_KEY,
    HOUR_MS,
    NOW,
    empty_sandbox,
    gateway_ids,
    gateway_message,
    request_gateway,
)


@pytest.fixture
def sandbox():
    with empty_sandbox() as served:
        yield served


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"channel": None}, 400), ({"from": None}, 400), ({"to": None}, 400),
        ({"channel": "VIBER"}, 400), ({"status": "READ"}, 400),
        ({"page": "-1"}, 400), ({"page": "one"}, 400), ({"limit": "0"}, 400),
        ({"from": "2025-01-01T00:00:00"}, 400), ({"from": "2025-01-01"}, 400),
        ({"from": "2025-01-01 00:00:00Z"}, 400), ({"from": "2025/01/01T00:00:00Z"}, 400),
        ({"from": "2025-01-01T00:00:00+0100"}, 400), ({"from": "2025-01-01T24:01:00Z"}, 400),
        ({"from": "2025-01-01T00:00:00+01:00"}, 200), ({"from": "2025-01-01T00:00Z"}, 200),
        ({"from": "2025-01-01T00:00:00.123456789-05:00"}, 200), ({"status": "RECEIVED"}, 200),
    ],
)  # fmt: skip
def test_parameters_are_validated(sandbox, params, status):
    assert request_gateway(sandbox, params).status_code == status


def test_plus_sign_in_an_offset_must_be_encoded(sandbox):
    query = "channel=SMS&from=2025-01-01T00:00:00+01:00&to=2026-01-01T00:00:00Z"
    url = f"{sandbox.gateway_base_url}/partner-gateway/v1/messages/history?{query}"
    assert requests.get(url, headers=GATEWAY_KEY, timeout=5).status_code == 400


def test_bounds_are_inclusive(sandbox):
    sandbox.gateway["SMS"].add(*(gateway_message(n, sent_ms=NOW - n) for n in range(5)))
    bounds = {"from": utc_time(NOW - 3), "to": gateway_time(NOW - 1)}
    assert gateway_ids(sandbox, **bounds) == [1, 2, 3]
    assert gateway_ids(sandbox, **{"from": bounds["to"], "to": bounds["from"]}) == []


def test_pages_have_20_rows_newest_first_by_default(sandbox):
    sandbox.gateway["SMS"].add(*(gateway_message(n) for n in range(45)))
    assert gateway_ids(sandbox) == list(range(20))
    assert gateway_ids(sandbox, page=2) == list(range(40, 45))
    assert gateway_ids(sandbox, page=3) == []
    assert gateway_ids(sandbox, page=1, limit=30) == list(range(30, 45))
    sandbox.gateway_options.oldest_first = True
    assert gateway_ids(sandbox, limit=3) == [44, 43, 42]


def test_channels_have_separate_histories(sandbox):
    sandbox.gateway["WHATSAPP"].add(gateway_message(2, channel="WHATSAPP"))
    assert [gateway_ids(sandbox, channel=name) for name in ("SMS", "RCS", "WHATSAPP")] == [[], [], [2]]


def test_missing_channel_is_empty():
    with Sandbox(gateway={"RCS": History([gateway_message(1, channel="RCS")])}).serve() as sandbox:
        assert [gateway_ids(sandbox, channel=name) for name in ("SMS", "RCS")] == [[], [1]]
        assert sandbox.gateway_rows("WHATSAPP") == []


def test_status_filter_follows_the_clock(sandbox):
    sandbox.gateway["SMS"].add(gateway_message(1, lifecycle=((0, "SENT"), (2 * HOUR_MS, "DELIVERED"))))
    assert gateway_ids(sandbox, status="SENT") == [1]
    sandbox.clock.advance(3600)
    assert (gateway_ids(sandbox, status="SENT"), gateway_ids(sandbox, status="DELIVERED")) == ([], [1])


@pytest.mark.parametrize(
    ("headers", "auth", "status"),
    [
        (GATEWAY_KEY, None, 200),
        ({}, ("sandbox-user", "sandbox-password"), 200),
        ({}, None, 401),
        ({"X-Api-Key": "wrong"}, None, 401),
        ({}, ("sandbox-user", "wrong"), 401),
        ({"X-Api-Key": "wrong"}, ("sandbox-user", "sandbox-password"), 401),
    ],
)
def test_api_key_or_basic_credentials_are_required(sandbox, headers, auth, status):
    assert request_gateway(sandbox, headers=headers, auth=auth).status_code == status


def test_address_outside_the_allowlist_is_403(sandbox):
    sandbox.gateway_options.refuse_ip = True
    assert request_gateway(sandbox).status_code == 403
    assert request_gateway(sandbox, headers={}).status_code == 401


def test_rows_have_the_configured_shape(sandbox):
    sent_ms = parse_ms("2026-02-09T09:15:00Z")
    sandbox.gateway["SMS"].add(
        gateway_message(
            1,
            sent_ms=sent_ms,
            customer_id="order-1",
            address="393331234567",
            lifecycle=((0, "SENT"), (1500, "DELIVERED")),
            fields={"sender": "ACME", "cost": 0.045, "parts": 1},
        )
    )
    common = {
        "messageId": "00000000-0000-4000-a000-000000000001",
        "channel": "SMS",
        "sender": "ACME",
        "destination": "393331234567",
        "body": "Ciao",
        "sendDate": "2026-02-09T10:15:00+01:00",
        "deliveryDate": "2026-02-09T10:15:01.500+01:00",
        "cost": 0.045,
        "parts": 1,
    }
    reference = {
        "customerMessageId": "order-1",
        "deliveryStatus": "DELIVERED",
        "deliveryStatusDescription": "Message delivered",
    }
    assert request_gateway(sandbox).json() == [common | reference]
    sandbox.gateway_options.shape = "translated"
    translated = {name.replace("Status", "Stato"): value for name, value in reference.items()}
    assert request_gateway(sandbox).json() == [common | translated]
    sandbox.gateway_options.shape = "guide"
    guide = {"direction": "OUTBOUND", "status": "DELIVERED"}
    assert request_gateway(sandbox).json() == {"messages": [common | guide]}
    sandbox.gateway_options.whole_seconds = True
    assert request_gateway(sandbox).json()["messages"][0]["deliveryDate"] == "2026-02-09T10:15:01+01:00"


def test_time_offset_follows_daylight_saving():
    change = parse_ms("2026-03-29T01:00:00Z")
    assert gateway_time(change - 1) == "2026-03-29T01:59:59.999+01:00"
    assert gateway_time(change) == "2026-03-29T03:00:00+02:00"


def test_minute_limit_is_reported_in_headers_and_body():
    moment = [0.0]
    options = GatewayOptions(requests_per_minute=3, requests_per_second=None)
    with Sandbox(gateway_options=options, monotonic=lambda: moment[0]).serve() as sandbox:
        responses = [request_gateway(sandbox) for _ in range(4)]
        assert [response.status_code for response in responses] == [200, 200, 200, 429]
        assert [response.headers["X-RateLimit-Remaining"] for response in responses] == ["2", "1", "0", "0"]
        assert {response.headers["X-RateLimit-Limit"] for response in responses} == {"3"}
        assert responses[-1].json() == {
            "status": 429,
            "error": "Too Many Requests",
            "message": "Rate limit exceeded",
            "retryAfter": 60,
        }
        moment[0] = 59.9
        assert request_gateway(sandbox).json()["retryAfter"] == 1
        moment[0] = 60.0
        assert request_gateway(sandbox).status_code == 200


def test_burst_limit_is_50_requests_per_second():
    moment = [0.0]
    with Sandbox(monotonic=lambda: moment[0]).serve() as sandbox, requests.Session() as session:
        session.headers.update(GATEWAY_KEY)
        url = f"{sandbox.gateway_base_url}/partner-gateway/v1/messages/history"
        params = {"channel": "SMS"} | ALWAYS
        statuses = [session.get(url, params=params, timeout=5).status_code for _ in range(52)]
        assert statuses == [200] * 50 + [429] * 2
        moment[0] = 1.0
        assert session.get(url, params=params, timeout=5).status_code == 200
