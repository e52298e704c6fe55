"""The emulated edna API, statement by statement of the vendor's documentation."""

from __future__ import annotations

import pytest
import requests

from msghistory_sandbox.times import DAY_MS, parse_ms, utc_time
from tests.sandbox_client import EDNA_KEY, HOUR_MS, NOW, edna_ids, edna_message, empty_sandbox, request_edna


@pytest.fixture
def sandbox():
    with empty_sandbox() as served:
        yield served


def test_row_matches_the_documented_example(sandbox):
    sent_ms = parse_ms("2026-02-23T08:08:20.201Z")
    fields = {
        "tenantId": 3193, "subjectId": 50192, "subjectName": "subject_sms", "cascadeId": 32522,
        "cascadeName": "cascade_sms", "cascadeStageUuid": "b75c5b32-d185-4784-aac0-ec3adc468a71",
        "broadcastId": 318463, "broadcastName": "cxzxzcxzcxz", "trafficType": "AD", "segments": 1,
        "subscriberId": 11354769,
    }  # fmt: skip
    sandbox.edna.add(
        edna_message(
            8270556,
            sent_ms=sent_ms,
            text="Hello. Glad to see",
            lifecycle=((0, "DELIVERED"),),
            fields=fields,
        )
    )
    response = request_edna(sandbox)
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "content": [
            {
                "messageId": 8270556,
                "channelType": "SMS",
                "direction": "OUT",
                "address": "35000000000",
                "content": '{"text": "Hello. Glad to see", "type": "TEXT"}',
                "deliveryStatus": "DELIVERED",
                "deliveryStatusAt": "2026-02-23T08:08:20.000+0000",
                "sentOrReceivedAt": "2026-02-23T08:08:20.201+0000",
                **fields,
            }
        ],
        "hasNext": False,
    }


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"subscriberFilter": {"address": "", "type": "PHONE"}}, "not-valid-request"),
        ({"subscriberFilter": {"type": "PHONE"}}, "not-valid-request"),
        ({"subscriberFilter": {"address": "1", "type": "FAX"}}, "not-valid-request"),
        ({"messageId": 1}, "not-valid-request"),
        ({"direction": "BOTH"}, "not-valid-request"),
        ({"limit": "1000"}, "not-valid-request"),
        ({"limit": -1}, "not-valid-request"),
        ({"offset": -1}, "not-valid-request"),
        ({"dateFrom": "2026-03-01"}, "not-valid-request"),
        ({"dateTo": "2026-03-01T00:00:00"}, "not-valid-request"),
        ({"sort": [{"property": "colour"}]}, "not-valid-request"),
        ({"sort": [{"property": "messageId", "direction": "UP"}]}, "not-valid-request"),
        ({"limit": 1001}, "limit-not-valid"),
        ({"dateFrom": "2025-03-18T23:59:59.999Z", "dateTo": "2026-03-20T00:00Z"}, "date-range-not-valid"),
        ({"dateFrom": "2025-03-19T11:59:59.999Z", "dateTo": None}, "date-range-not-valid"),
        ({"subjectId": 404}, "message-matcher-subject-not-found"),
    ],
)  # fmt: skip
def test_errors_match_the_documented_table(sandbox, body, error):
    response = request_edna(sandbox, body)
    assert (response.status_code, response.json()["error"]) == (400, error)


@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}, {"x-api-key": ""}])
def test_wrong_key_is_401_whatever_the_body(sandbox, headers):
    response = request_edna(sandbox, {"limit": 5000}, headers)
    assert (response.status_code, response.json()["error"]) == (401, "Api key not found")


def test_body_must_be_a_json_object(sandbox):
    for body in (b"", b"[]", b"{"):
        url = f"{sandbox.edna_base_url}/api/messages/history"
        assert requests.post(url, data=body, headers=EDNA_KEY, timeout=5).status_code == 400


def test_range_of_366_days_is_valid(sandbox):
    body = {"dateFrom": "2025-03-19T00:00:00Z", "dateTo": "2026-03-20T00:00:00Z"}
    assert request_edna(sandbox, body).status_code == 200


def test_limit_defaults_to_zero(sandbox):
    sandbox.edna.add(edna_message(1))
    assert request_edna(sandbox, {"limit": None}).json() == {"content": [], "hasNext": True}


def test_consecutive_pages_contain_every_message_once(sandbox):
    sandbox.edna.add(*(edna_message(number) for number in range(1, 11)))
    pages = [request_edna(sandbox, {"limit": 4, "offset": offset}).json() for offset in (0, 4, 8, 12)]
    assert [len(page["content"]) for page in pages] == [4, 4, 2, 0]
    assert [page["hasNext"] for page in pages] == [True, True, False, False]
    assert [row["messageId"] for page in pages for row in page["content"]] == list(range(1, 11))


def test_has_next_is_false_after_a_full_last_page(sandbox):
    sandbox.edna.add(edna_message(1), edna_message(2))
    assert request_edna(sandbox, {"limit": 2}).json()["hasNext"] is False


def test_sorts_by_any_property_descending_by_default(sandbox):
    addresses = {1: "b", 2: "a", 3: "c", 4: "b"}
    sandbox.edna.add(*(edna_message(number, address=text) for number, text in addresses.items()))
    by_address = {"property": "address", "direction": "ASC"}
    by_id = {"property": "messageId", "direction": "DESC"}
    assert edna_ids(sandbox) == [1, 2, 3, 4], "newest first"
    assert edna_ids(sandbox, sort=[{"property": "sentOrReceivedAt", "direction": "ASC"}]) == [4, 3, 2, 1]
    assert edna_ids(sandbox, sort=[{"property": "messageId"}]) == [4, 3, 2, 1]
    assert edna_ids(sandbox, sort=[by_address, by_id]) == [2, 4, 1, 3]


def test_sort_by_status_follows_the_clock(sandbox):
    read_soon = ((0, "DELIVERED"), (HOUR_MS + 500, "READ"))
    sandbox.edna.add(edna_message(1, lifecycle=read_soon), edna_message(2, lifecycle=((0, "ENQUEUED"),)))
    sort = [{"property": "deliveryStatus", "direction": "ASC"}]
    assert edna_ids(sandbox, sort=sort) == [1, 2]
    sandbox.clock.advance(0.5)
    assert edna_ids(sandbox, sort=sort) == [2, 1]


@pytest.mark.parametrize(
    ("exclusive_from", "exclusive_to", "expected"),
    [(False, False, [3, 2, 1]), (True, False, [2, 1]), (False, True, [3, 2]), (True, True, [2])],
)
def test_bounds_are_inclusive_unless_an_option_excludes_them(sandbox, exclusive_from, exclusive_to, expected):
    sandbox.edna_options.exclusive_from = exclusive_from
    sandbox.edna_options.exclusive_to = exclusive_to
    sandbox.edna.add(*(edna_message(n, sent_ms=NOW - n) for n in (1, 2, 3)))
    sort = [{"property": "messageId"}]
    body = {"dateFrom": utc_time(NOW - 3), "dateTo": utc_time(NOW - 1), "sort": sort}
    assert edna_ids(sandbox, **body) == expected
    inside = {"dateFrom": "2026-03-20T11:59:59.9971Z", "dateTo": "2026-03-20T11:59:59.9989Z"}
    assert edna_ids(sandbox, **inside) == [2], "bounds finer than a ms"


def test_created_lead_filters_by_an_earlier_time(sandbox):
    sandbox.edna_options.created_lead_ms = 5000
    sandbox.edna.add(*(edna_message(n, sent_ms=NOW - 60_000 + n) for n in range(100)))
    found = edna_ids(sandbox, dateFrom=utc_time(NOW - 60_000), dateTo=utc_time(NOW))
    before = edna_ids(sandbox, dateFrom=utc_time(NOW - 70_000), dateTo=utc_time(NOW - 60_001))
    assert 0 < len(found) < 100
    assert sorted(found + before) == list(range(100))


def test_range_defaults_to_the_last_30_days(sandbox):
    days = {1: 1, 2: 29, 3: 31, 4: 300}
    sandbox.edna.add(*(edna_message(n, sent_ms=NOW - day * DAY_MS) for n, day in days.items()))
    day = {n: utc_time(NOW - n * DAY_MS) for n in (10, 40, 301)}
    assert edna_ids(sandbox, dateFrom=None, dateTo=None) == [1, 2], "30 days"
    assert edna_ids(sandbox, dateFrom=None, dateTo=day[10]) == [2], "30 days, up to dateTo"
    assert edna_ids(sandbox, dateFrom=None, dateTo=day[40]) == [], "no error"
    assert edna_ids(sandbox, dateFrom=day[301], dateTo=None) == [1, 2, 3, 4], "up to now"
    assert edna_ids(sandbox, dateFrom=day[10], dateTo=day[40]) == [], "from after to"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"channelTypes": ["SMS"]}, [1, 2]),
        ({"channelTypes": ["SMS", "VIBER"]}, [1, 2, 4]),
        ({"direction": "IN"}, [2]),
        ({"direction": "OUT"}, [1, 3, 4]),
        ({"trafficTypes": ["AD", "HSM"]}, [1, 3]),
        ({"trafficTypes": ["AD"], "direction": "IN"}, []),
        ({"subjectId": 7}, [3]),
        ({"messageId": 4, "direction": "OUT"}, [4]),
        ({"messageId": 4, "direction": "IN"}, []),
        ({"subscriberFilter": {"address": "79001112233"}}, [4]),
        ({"subscriberFilter": {"address": "79001112233", "type": "PHONE"}}, [4]),
        ({"subscriberFilter": {"address": "79001112233", "type": "EDNA_ID"}}, []),
    ],
)
def test_filters_select_matching_messages(sandbox, filters, expected):
    sandbox.edna.add(
        edna_message(1, fields={"trafficType": "AD"}),
        edna_message(2, direction="IN"),
        edna_message(3, channel="WHATSAPP", fields={"trafficType": "HSM", "subjectId": 7}),
        edna_message(4, channel="VIBER", address="79001112233", fields={"trafficType": "SERVICE"}),
    )
    assert edna_ids(sandbox, **filters) == expected


def test_rate_limit_is_optional(sandbox):
    sandbox.edna_options.requests_per_minute = 2
    assert [request_edna(sandbox).status_code for _ in range(3)] == [200, 200, 429]
