"""The journal of requests, and the control API."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import requests

from tests.sandbox_client import edna_ids, edna_message, empty_sandbox, request_edna, request_gateway


@pytest.fixture
def sandbox():
    with empty_sandbox() as served:
        yield served


def test_requests_are_recorded_without_their_credentials(sandbox):
    sandbox.edna.add(edna_message(1))
    request_edna(sandbox, {"offset": 7}, {"x-api-key": "secret-canary"})
    request_gateway(sandbox, {"page": 3, "limit": 100})
    first, second = sandbox.requests
    assert (first.api, first.status, first.credentials, first.offset) == ("edna", 401, True, 7)
    assert (second.api, second.status, second.offset) == ("gateway", 200, 300)
    assert (first.params["limit"], second.params["channel"]) == (1000, "SMS")
    assert first.at < second.at
    assert "canary" not in repr(first)


def test_stats_count_requests_and_responses(sandbox):
    sandbox.edna.add(edna_message(1), edna_message(2))
    edna_ids(sandbox)
    request_edna(sandbox, {"offset": 900, "limit": 2000})
    assert requests.get(f"{sandbox.url}/sandbox/stats", timeout=5).json() == {
        "requests": {"edna": 2},
        "answers": {"200": 1, "400": 1},
        "rows": 2,
        "largestOffset": 900,
        "maxConcurrent": 1,
    }


def test_concurrent_requests_are_counted(sandbox):
    sandbox.faults.latency_ms = 100
    threads = [threading.Thread(target=request_edna, args=(sandbox,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sandbox.journal.stats()["maxConcurrent"] == 3


def test_about_says_that_it_is_not_the_vendors(sandbox):
    assert "not the vendors'" in requests.get(f"{sandbox.url}/sandbox/", timeout=5).json()["about"]


def test_the_clock_can_be_set(sandbox):
    def post(body: dict[str, Any]) -> requests.Response:
        return requests.post(f"{sandbox.url}/sandbox/clock", json=body, timeout=5)

    assert post({"advance": 90}).json() == {"now": "2026-03-20T12:01:30.000Z", "frozen": True}
    assert post({"at": "2026-04-01T00:00:00+02:00"}).json()["now"] == "2026-03-31T22:00:00.000Z"
    assert post({"freeze": False}).json()["frozen"] is False
    assert post({"at": "2026-04-01"}).status_code == post({"advance": "1"}).status_code == 400
