"""Injected faults: every option of `Faults`, through requests to both APIs."""

from __future__ import annotations

import time
from collections import Counter
from email.utils import parsedate_to_datetime

import pytest
import requests

from msghistory_sandbox import Faults
from tests.sandbox_client import (
    NOW,
    edna_ids,
    edna_message,
    empty_sandbox,
    gateway_ids,
    gateway_message,
    request_edna,
    request_gateway,
)


@pytest.fixture
def sandbox():
    with empty_sandbox() as served:
        yield served


@pytest.fixture
def filled(sandbox):
    sandbox.edna.add(*(edna_message(n) for n in range(10)))
    sandbox.gateway["SMS"].add(*(gateway_message(n) for n in range(10)))
    return sandbox


def test_rates_of_errors_html_and_malformed_json_apply(filled):
    filled.faults = Faults(error_rate=1)
    assert request_edna(filled).status_code == 500
    filled.faults = Faults(html_rate=1)
    assert (request_edna(filled).status_code, request_edna(filled).text[:9]) == (200, "<!doctype")
    filled.faults = Faults(malformed_rate=1)
    assert (request_gateway(filled).status_code, request_gateway(filled).json()) == (200, {"result": "ok"})
    filled.faults = Faults()
    assert len(edna_ids(filled)) == 10


def test_drop_rate_resets_connections(filled):
    filled.faults.drop_rate = 1
    with pytest.raises(requests.ConnectionError):
        request_edna(filled)
    assert filled.journal.stats()["answers"] == {"reset": 1}


def test_truncate_rate_cuts_bodies(filled):
    filled.faults.truncate_rate = 1
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        request_gateway(filled)
    filled.faults.truncate_rate = 0
    assert len(gateway_ids(filled)) == 10


def test_fail_next_counts_down(filled):
    filled.faults.fail_next = 2
    assert [request_edna(filled).status_code for _ in range(3)] == [500, 500, 200]


@pytest.mark.parametrize("style", ["seconds", "date", "body", "none"])
def test_limit_next_sends_the_wait_as_configured(filled, style):
    filled.faults = Faults(limit_next=1, limit_wait_s=7, retry_after=style)
    response = request_edna(filled)
    header = response.headers.get("Retry-After")
    assert response.status_code == 429
    assert response.json().get("retryAfter") == (7 if style == "body" else None)
    if style == "seconds":
        assert header == "7"
    elif style == "date":
        assert header is not None
        assert 7 <= parsedate_to_datetime(header).timestamp() - time.time() <= 8
    else:
        assert header is None
    assert request_edna(filled).status_code == 200


def test_forced_status_and_redirect_apply_to_every_request(filled):
    filled.faults = Faults(force_status=401)
    assert request_edna(filled).status_code == 401
    filled.faults = Faults(redirect_to="http://127.0.0.1:9")
    response = request_gateway(filled, {"page": 3}, allow_redirects=False)
    assert response.status_code == 307
    assert response.headers["location"].startswith(
        "http://127.0.0.1:9/api/partner-gateway/v1/messages/history?"
    )


def test_page_cap_is_silent(filled):
    filled.faults.page_cap = 3
    assert request_edna(filled, {"limit": 1000}).json()["hasNext"] is True
    assert (edna_ids(filled), edna_ids(filled, offset=9)) == ([0, 1, 2], [9])
    assert [gateway_ids(filled, page=n, limit=5) for n in (0, 1, 3)] == [[0, 1, 2], [3, 4, 5], [9]]
    filled.faults.page_cap_skip = "asked"
    assert [gateway_ids(filled, page=n, limit=5) for n in (0, 1, 2)] == [[0, 1, 2], [5, 6, 7], []]


def test_endless_pages_repeat_or_are_empty(filled):
    filled.faults.endless = "repeat"
    last = request_edna(filled, {"limit": 4, "offset": 400}).json()
    assert ([row["messageId"] for row in last["content"]], last["hasNext"]) == ([6, 7, 8, 9], True)
    assert gateway_ids(filled, page=100, limit=4) == [6, 7, 8, 9]
    filled.faults.endless = "empty"
    assert request_edna(filled, {"offset": 10}).json() == {"content": [], "hasNext": True}


def test_unstable_ties_change_their_order(sandbox):
    sandbox.edna.add(*(edna_message(n, sent_ms=NOW) for n in range(50)))
    sandbox.faults.unstable_ties = True
    by_time, by_id = {"property": "sentOrReceivedAt"}, {"property": "messageId"}
    assert edna_ids(sandbox, sort=[by_time]) != edna_ids(sandbox, sort=[by_time])
    assert edna_ids(sandbox, sort=[by_time, by_id]) == list(range(49, -1, -1))


def test_latency_grows_with_the_offset(filled):
    filled.faults = Faults(latency_ms=40, offset_cost_ms=30)
    for offset, expected_s in ((0, 0.04), (2000, 0.1)):
        start = time.monotonic()
        request_edna(filled, {"offset": offset})
        assert time.monotonic() - start >= expected_s


def test_faults_are_reproducible_by_seed():
    def drawn(seed: int) -> list[str | None]:
        faults = Faults(error_rate=0.2, drop_rate=0.2, html_rate=0.2, seed=seed)
        return [faults.decide() for _ in range(300)]

    assert drawn(1) == drawn(1) != drawn(2)
    counts = Counter(drawn(1))
    assert set(counts) == {"error", "drop", "html", None}
    assert all(30 < counts[fault] < 90 for fault in ("error", "drop", "html"))
