"""What the sandbox promises: the vendors' pages, line by line, and its faults."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any

import msgspec
import pytest
import requests

from msghistory_sandbox import Clock, Faults, GatewayOptions, History, Message, Sandbox
from msghistory_sandbox.times import DAY_MS, gateway_time, parse_ms, utc_time

Options = dict[str, Any] | None

HOUR_MS = 3_600_000
NOW = parse_ms("2026-03-20T12:00:00Z")
RIGHT_KEY = {"x-api-key": "sandbox-edna-key"}
GATEWAY_KEY = {"X-Api-Key": "sandbox-gateway-key"}
ALWAYS = {"from": "2020-01-01T00:00:00Z", "to": "2030-01-01T00:00:00Z"}
LAST_YEAR = {"dateFrom": "2025-03-25T00:00:00Z", "dateTo": "2026-03-24T00:00:00Z"}


@pytest.fixture
def sandbox():
    with Sandbox(clock=Clock(NOW, frozen=True)).serve() as served:
        yield served


@pytest.fixture(scope="module")
def generated():
    return Sandbox.generate(messages=5000, seed=7, end_ms=NOW, clock=Clock(NOW + 30 * DAY_MS, frozen=True))


def edna_message(number: int, **changes: Any) -> Message:
    """Sent `number` hours before NOW."""
    defaults: dict[str, Any] = {
        "id": number,
        "sent_ms": NOW - number * HOUR_MS,
        "channel": "SMS",
        "address": "35000000000",
    }
    return Message(**(defaults | changes))


def gateway_message(number: int, **changes: Any) -> Message:
    defaults: dict[str, Any] = {
        "id": f"00000000-0000-4000-a000-{number:012d}",
        "sent_ms": NOW - number * HOUR_MS,
    }
    return Message(**(defaults | {"channel": "SMS", "text": "Ciao"} | changes))


def ask_edna(
    sandbox: Sandbox, body: Options = None, headers: Options = None, **settings: Any
) -> requests.Response:
    url = f"{sandbox.edna_base_url}/api/messages/history"
    body = {"limit": 1000} | LAST_YEAR | (body or {})
    body = {name: value for name, value in body.items() if value is not None}
    headers = RIGHT_KEY if headers is None else headers
    return requests.post(url, json=body, headers=headers, timeout=5, **settings)


def ask_gateway(
    sandbox: Sandbox, params: Options = None, headers: Options = None, **settings: Any
) -> requests.Response:
    url = f"{sandbox.gateway_base_url}/partner-gateway/v1/messages/history"
    params = {"channel": "SMS"} | ALWAYS | (params or {})
    headers = GATEWAY_KEY if headers is None else headers
    return requests.get(url, params=params, headers=headers, timeout=5, **settings)


def edna_ids(sandbox: Sandbox, **body: Any) -> list[int]:
    answer = ask_edna(sandbox, body)
    assert answer.status_code == 200, answer.text
    return [row["messageId"] for row in answer.json()["content"]]


def gateway_ids(sandbox: Sandbox, **params: Any) -> list[int]:
    answer = ask_gateway(sandbox, params)
    assert answer.status_code == 200, answer.text
    return [int(row["messageId"][-12:]) for row in answer.json()]


class TestEdna:
    def test_a_row_is_the_one_of_the_vendors_page(self, sandbox):
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
        answer = ask_edna(sandbox)
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == {
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
    def test_error_table(self, sandbox, body, error):
        answer = ask_edna(sandbox, body)
        assert (answer.status_code, answer.json()["error"]) == (400, error)

    @pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}, {"x-api-key": ""}])
    def test_a_wrong_key_is_401_whatever_the_body(self, sandbox, headers):
        answer = ask_edna(sandbox, {"limit": 5000}, headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "Api key not found")

    def test_a_body_that_is_no_json_object_is_not_valid(self, sandbox):
        for body in (b"", b"[]", b"{"):
            url = f"{sandbox.edna_base_url}/api/messages/history"
            assert requests.post(url, data=body, headers=RIGHT_KEY, timeout=5).status_code == 400

    def test_a_range_of_366_days_is_valid(self, sandbox):
        body = {"dateFrom": "2025-03-19T00:00:00Z", "dateTo": "2026-03-20T00:00:00Z"}
        assert ask_edna(sandbox, body).status_code == 200

    def test_limit_defaults_to_none_at_all(self, sandbox):
        sandbox.edna.add(edna_message(1))
        assert ask_edna(sandbox, {"limit": None}).json() == {"content": [], "hasNext": True}

    def test_pages_join(self, sandbox):
        sandbox.edna.add(*(edna_message(number) for number in range(1, 11)))
        pages = [ask_edna(sandbox, {"limit": 4, "offset": offset}).json() for offset in (0, 4, 8, 12)]
        assert [len(page["content"]) for page in pages] == [4, 4, 2, 0]
        assert [page["hasNext"] for page in pages] == [True, True, False, False]
        assert [row["messageId"] for page in pages for row in page["content"]] == list(range(1, 11))

    def test_hasnext_is_false_after_a_full_last_page(self, sandbox):
        sandbox.edna.add(edna_message(1), edna_message(2))
        assert ask_edna(sandbox, {"limit": 2}).json()["hasNext"] is False

    def test_sort_by_any_property_descending_by_default(self, sandbox):
        addresses = {1: "b", 2: "a", 3: "c", 4: "b"}
        sandbox.edna.add(*(edna_message(number, address=text) for number, text in addresses.items()))
        by_address = {"property": "address", "direction": "ASC"}
        by_id = {"property": "messageId", "direction": "DESC"}
        assert edna_ids(sandbox) == [1, 2, 3, 4], "newest first"
        assert edna_ids(sandbox, sort=[{"property": "sentOrReceivedAt", "direction": "ASC"}]) == [4, 3, 2, 1]
        assert edna_ids(sandbox, sort=[{"property": "messageId"}]) == [4, 3, 2, 1]
        assert edna_ids(sandbox, sort=[by_address, by_id]) == [2, 4, 1, 3]

    def test_sort_by_status_follows_the_clock(self, sandbox):
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
    def test_bounds_are_inclusive_unless_told_otherwise(
        self, sandbox, exclusive_from, exclusive_to, expected
    ):
        sandbox.edna_options.exclusive_from = exclusive_from
        sandbox.edna_options.exclusive_to = exclusive_to
        sandbox.edna.add(*(edna_message(n, sent_ms=NOW - n) for n in (1, 2, 3)))
        sort = [{"property": "messageId"}]
        body = {"dateFrom": utc_time(NOW - 3), "dateTo": utc_time(NOW - 1), "sort": sort}
        assert edna_ids(sandbox, **body) == expected
        inside = {"dateFrom": "2026-03-20T11:59:59.9971Z", "dateTo": "2026-03-20T11:59:59.9989Z"}
        assert edna_ids(sandbox, **inside) == [2], "bounds finer than a ms"

    def test_it_may_filter_by_an_earlier_time_than_it_shows(self, sandbox):
        sandbox.edna_options.created_lead_ms = 5000
        sandbox.edna.add(*(edna_message(n, sent_ms=NOW - 60_000 + n) for n in range(100)))
        found = edna_ids(sandbox, dateFrom=utc_time(NOW - 60_000), dateTo=utc_time(NOW))
        before = edna_ids(sandbox, dateFrom=utc_time(NOW - 70_000), dateTo=utc_time(NOW - 60_001))
        assert 0 < len(found) < 100
        assert sorted(found + before) == list(range(100))

    def test_range_defaults(self, sandbox):
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
    def test_filters(self, sandbox, filters, expected):
        sandbox.edna.add(
            edna_message(1, fields={"trafficType": "AD"}),
            edna_message(2, direction="IN"),
            edna_message(3, channel="WHATSAPP", fields={"trafficType": "HSM", "subjectId": 7}),
            edna_message(4, channel="VIBER", address="79001112233", fields={"trafficType": "SERVICE"}),
        )
        assert edna_ids(sandbox, **filters) == expected

    def test_a_rate_limit_is_an_option(self, sandbox):
        sandbox.edna_options.requests_per_minute = 2
        assert [ask_edna(sandbox).status_code for _ in range(3)] == [200, 200, 429]


class TestGateway:
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
    def test_what_is_valid(self, sandbox, params, status):
        assert ask_gateway(sandbox, params).status_code == status

    def test_a_plus_sign_has_to_be_encoded(self, sandbox):
        query = "channel=SMS&from=2025-01-01T00:00:00+01:00&to=2026-01-01T00:00:00Z"
        url = f"{sandbox.gateway_base_url}/partner-gateway/v1/messages/history?{query}"
        assert requests.get(url, headers=GATEWAY_KEY, timeout=5).status_code == 400

    def test_bounds_are_inclusive(self, sandbox):
        sandbox.gateway["SMS"].add(*(gateway_message(n, sent_ms=NOW - n) for n in range(5)))
        bounds = {"from": utc_time(NOW - 3), "to": gateway_time(NOW - 1)}
        assert gateway_ids(sandbox, **bounds) == [1, 2, 3]
        assert gateway_ids(sandbox, **{"from": bounds["to"], "to": bounds["from"]}) == []

    def test_pages_of_20_newest_first_by_default(self, sandbox):
        sandbox.gateway["SMS"].add(*(gateway_message(n) for n in range(45)))
        assert gateway_ids(sandbox) == list(range(20))
        assert gateway_ids(sandbox, page=2) == list(range(40, 45))
        assert gateway_ids(sandbox, page=3) == []
        assert gateway_ids(sandbox, page=1, limit=30) == list(range(30, 45))
        sandbox.gateway_options.oldest_first = True
        assert gateway_ids(sandbox, limit=3) == [44, 43, 42]

    def test_channels_are_apart(self, sandbox):
        sandbox.gateway["WHATSAPP"].add(gateway_message(2, channel="WHATSAPP"))
        assert [gateway_ids(sandbox, channel=name) for name in ("SMS", "RCS", "WHATSAPP")] == [[], [], [2]]

    def test_a_channel_that_is_left_out_is_empty(self):
        with Sandbox(gateway={"RCS": History([gateway_message(1, channel="RCS")])}).serve() as sandbox:
            assert [gateway_ids(sandbox, channel=name) for name in ("SMS", "RCS")] == [[], [1]]
            assert sandbox.gateway_rows("WHATSAPP") == []

    def test_the_status_filter_follows_the_clock(self, sandbox):
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
    def test_credentials(self, sandbox, headers, auth, status):
        assert ask_gateway(sandbox, headers=headers, auth=auth).status_code == status

    def test_an_address_that_is_not_on_the_list_is_403(self, sandbox):
        sandbox.gateway_options.refuse_ip = True
        assert ask_gateway(sandbox).status_code == 403
        assert ask_gateway(sandbox, headers={}).status_code == 401

    def test_shapes(self, sandbox):
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
        assert ask_gateway(sandbox).json() == [common | reference]
        sandbox.gateway_options.shape = "translated"
        translated = {name.replace("Status", "Stato"): value for name, value in reference.items()}
        assert ask_gateway(sandbox).json() == [common | translated]
        sandbox.gateway_options.shape = "guide"
        guide = {"direction": "OUTBOUND", "status": "DELIVERED"}
        assert ask_gateway(sandbox).json() == {"messages": [common | guide]}
        sandbox.gateway_options.whole_seconds = True
        assert ask_gateway(sandbox).json()["messages"][0]["deliveryDate"] == "2026-02-09T10:15:01+01:00"

    def test_the_offset_changes_with_daylight_saving(self):
        change = parse_ms("2026-03-29T01:00:00Z")
        assert gateway_time(change - 1) == "2026-03-29T01:59:59.999+01:00"
        assert gateway_time(change) == "2026-03-29T03:00:00+02:00"

    def test_rate_limit_of_the_minute_and_its_headers(self):
        moment = [0.0]
        options = GatewayOptions(requests_per_minute=3, requests_per_second=None)
        with Sandbox(gateway_options=options, monotonic=lambda: moment[0]).serve() as sandbox:
            answers = [ask_gateway(sandbox) for _ in range(4)]
            assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
            assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
            assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"3"}
            assert answers[-1].json() == {
                "status": 429,
                "error": "Too Many Requests",
                "message": "Rate limit exceeded",
                "retryAfter": 60,
            }
            moment[0] = 59.9
            assert ask_gateway(sandbox).json()["retryAfter"] == 1
            moment[0] = 60.0
            assert ask_gateway(sandbox).status_code == 200

    def test_rate_limit_of_the_second(self):
        moment = [0.0]
        with Sandbox(monotonic=lambda: moment[0]).serve() as sandbox, requests.Session() as session:
            session.headers.update(GATEWAY_KEY)
            url = f"{sandbox.gateway_base_url}/partner-gateway/v1/messages/history"
            params = {"channel": "SMS"} | ALWAYS
            statuses = [session.get(url, params=params, timeout=5).status_code for _ in range(52)]
            assert statuses == [200] * 50 + [429] * 2
            moment[0] = 1.0
            assert session.get(url, params=params, timeout=5).status_code == 200


class TestTime:
    def test_only_what_is_visible_by_the_clock_is_served(self, sandbox):
        sandbox.edna.add(
            edna_message(1), edna_message(2, visible_ms=NOW + 5000), edna_message(3, sent_ms=NOW + 5001)
        )
        sandbox.gateway["SMS"].add(gateway_message(1, visible_ms=NOW + 5000))
        assert (edna_ids(sandbox), gateway_ids(sandbox)) == ([1], [])
        sandbox.clock.advance(5)
        assert (edna_ids(sandbox), gateway_ids(sandbox)) == ([1, 2], [1])
        sandbox.clock.advance(0.001)
        assert edna_ids(sandbox) == [3, 1, 2]
        sandbox.clock.set(NOW)
        assert edna_ids(sandbox) == [1]

    def test_statuses_settle(self, sandbox):
        steps = ((0, "ACCEPTED"), (1000, "DELIVERED"), (DAY_MS, "READ"))
        sandbox.edna.add(edna_message(0, lifecycle=steps))
        seen = []
        for seconds in (0, 0.999, 0.001, 86_398.999, 0.001):
            sandbox.clock.advance(seconds)
            row = ask_edna(sandbox).json()["content"][0]
            seen.append((row["deliveryStatus"], row["deliveryStatusAt"][:19]))
        assert seen == [
            ("ACCEPTED", "2026-03-20T12:00:00"),
            ("ACCEPTED", "2026-03-20T12:00:00"),
            ("DELIVERED", "2026-03-20T12:00:01"),
            ("DELIVERED", "2026-03-20T12:00:01"),
            ("READ", "2026-03-21T12:00:00"),
        ]

    def test_changes_between_two_pages_are_seen_at_once(self, sandbox):
        sandbox.edna.add(*(edna_message(number) for number in (1, 2, 4)))
        sort = [{"property": "sentOrReceivedAt", "direction": "ASC"}]

        def page(offset: int) -> list[tuple[int, str]]:
            content = ask_edna(sandbox, {"limit": 2, "offset": offset, "sort": sort}).json()["content"]
            return [(row["messageId"], row["deliveryStatus"]) for row in content]

        assert page(0) == [(4, "SENT"), (2, "SENT")]
        sandbox.edna.add(edna_message(3))
        assert page(2) == [(2, "SENT"), (1, "SENT")]
        sandbox.edna.set_status(2, "DELIVERED", NOW)
        assert page(2) == [(2, "DELIVERED"), (1, "SENT")]
        old = sandbox.edna.get(1)
        assert old is not None
        sandbox.edna.replace(msgspec.structs.replace(old, sent_ms=old.sent_ms - DAY_MS))
        assert page(0) == [(1, "SENT"), (4, "SENT")]

    def test_a_test_can_change_things_in_the_middle_of_a_reading(self, sandbox):
        sandbox.edna.add(edna_message(1))
        sandbox.journal.watch = lambda _: sandbox.edna.add(edna_message(len(sandbox.edna) + 1))
        assert (edna_ids(sandbox), edna_ids(sandbox)) == ([1, 2], [1, 2, 3])

    def test_a_frozen_clock_stands_still_and_goes_on_from_there(self):
        clock = Clock(NOW, frozen=True)
        assert clock.now_ms() == clock.now_ms() == NOW
        clock.run()
        assert NOW <= clock.now_ms() < NOW + 5000

    def test_an_id_cannot_come_twice(self):
        history = History([edna_message(1)])
        with pytest.raises(ValueError, match="already"):
            history.add(edna_message(1))
        with pytest.raises(ValueError, match="same id"):
            History([edna_message(1), edna_message(1)])


class TestFaults:
    @pytest.fixture
    def ten(self, sandbox):
        sandbox.edna.add(*(edna_message(n) for n in range(10)))
        sandbox.gateway["SMS"].add(*(gateway_message(n) for n in range(10)))
        return sandbox

    def test_errors_html_and_odd_json(self, ten):
        ten.faults = Faults(error_rate=1)
        assert ask_edna(ten).status_code == 500
        ten.faults = Faults(html_rate=1)
        assert (ask_edna(ten).status_code, ask_edna(ten).text[:9]) == (200, "<!doctype")
        ten.faults = Faults(malformed_rate=1)
        assert (ask_gateway(ten).status_code, ask_gateway(ten).json()) == (200, {"result": "ok"})
        ten.faults = Faults()
        assert len(edna_ids(ten)) == 10

    def test_dropped_connections(self, ten):
        ten.faults.drop_rate = 1
        with pytest.raises(requests.ConnectionError):
            ask_edna(ten)
        assert ten.journal.stats()["answers"] == {"reset": 1}

    def test_bodies_cut_short(self, ten):
        ten.faults.truncate_rate = 1
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
            ask_gateway(ten)
        ten.faults.truncate_rate = 0
        assert len(gateway_ids(ten)) == 10

    def test_the_next_few_fail(self, ten):
        ten.faults.fail_next = 2
        assert [ask_edna(ten).status_code for _ in range(3)] == [500, 500, 200]

    @pytest.mark.parametrize("style", ["seconds", "date", "body", "none"])
    def test_the_next_few_are_told_to_wait(self, ten, style):
        ten.faults = Faults(limit_next=1, limit_wait_s=7, retry_after=style)
        answer = ask_edna(ten)
        header = answer.headers.get("Retry-After")
        assert answer.status_code == 429
        assert answer.json().get("retryAfter") == (7 if style == "body" else None)
        if style == "seconds":
            assert header == "7"
        elif style == "date":
            assert header is not None
            assert 7 <= parsedate_to_datetime(header).timestamp() - time.time() <= 8
        else:
            assert header is None
        assert ask_edna(ten).status_code == 200

    def test_refusals_and_redirects(self, ten):
        ten.faults = Faults(force_status=401)
        assert ask_edna(ten).status_code == 401
        ten.faults = Faults(redirect_to="http://127.0.0.1:9")
        answer = ask_gateway(ten, {"page": 3}, allow_redirects=False)
        assert answer.status_code == 307
        assert answer.headers["location"].startswith(
            "http://127.0.0.1:9/api/partner-gateway/v1/messages/history?"
        )

    def test_a_silent_cap_on_pages(self, ten):
        ten.faults.page_cap = 3
        assert ask_edna(ten, {"limit": 1000}).json()["hasNext"] is True
        assert (edna_ids(ten), edna_ids(ten, offset=9)) == ([0, 1, 2], [9])
        assert [gateway_ids(ten, page=n, limit=5) for n in (0, 1, 3)] == [[0, 1, 2], [3, 4, 5], [9]]
        ten.faults.page_cap_skip = "asked"
        assert [gateway_ids(ten, page=n, limit=5) for n in (0, 1, 2)] == [[0, 1, 2], [5, 6, 7], []]

    def test_pages_without_end(self, ten):
        ten.faults.endless = "repeat"
        last = ask_edna(ten, {"limit": 4, "offset": 400}).json()
        assert ([row["messageId"] for row in last["content"]], last["hasNext"]) == ([6, 7, 8, 9], True)
        assert gateway_ids(ten, page=100, limit=4) == [6, 7, 8, 9]
        ten.faults.endless = "empty"
        assert ask_edna(ten, {"offset": 10}).json() == {"content": [], "hasNext": True}

    def test_ties_without_an_order(self, sandbox):
        sandbox.edna.add(*(edna_message(n, sent_ms=NOW) for n in range(50)))
        sandbox.faults.unstable_ties = True
        by_time, by_id = {"property": "sentOrReceivedAt"}, {"property": "messageId"}
        assert edna_ids(sandbox, sort=[by_time]) != edna_ids(sandbox, sort=[by_time])
        assert edna_ids(sandbox, sort=[by_time, by_id]) == list(range(49, -1, -1))

    def test_latency_and_the_cost_of_deep_pages(self, ten):
        ten.faults = Faults(latency_ms=40, offset_cost_ms=30)
        for offset, expected_s in ((0, 0.04), (2000, 0.1)):
            begin = time.monotonic()
            ask_edna(ten, {"offset": offset})
            assert time.monotonic() - begin >= expected_s

    def test_chances_are_repeatable_by_seed(self):
        def fates(seed: int) -> list[str | None]:
            faults = Faults(error_rate=0.2, drop_rate=0.2, html_rate=0.2, seed=seed)
            return [faults.decide() for _ in range(300)]

        assert fates(1) == fates(1) != fates(2)
        counts = Counter(fates(1))
        assert set(counts) == {"error", "drop", "html", None}
        assert all(30 < counts[fate] < 90 for fate in ("error", "drop", "html"))


class TestJournalAndControl:
    def test_requests_are_noted_without_their_keys(self, sandbox):
        sandbox.edna.add(edna_message(1))
        ask_edna(sandbox, {"offset": 7}, {"x-api-key": "secret-canary"})
        ask_gateway(sandbox, {"page": 3, "limit": 100})
        first, second = sandbox.requests
        assert (first.api, first.status, first.credentials, first.offset) == ("edna", 401, True, 7)
        assert (second.api, second.status, second.offset) == ("gateway", 200, 300)
        assert (first.params["limit"], second.params["channel"]) == (1000, "SMS")
        assert first.at < second.at
        assert "canary" not in repr(first)

    def test_stats(self, sandbox):
        sandbox.edna.add(edna_message(1), edna_message(2))
        edna_ids(sandbox)
        ask_edna(sandbox, {"offset": 900, "limit": 2000})
        assert requests.get(f"{sandbox.url}/sandbox/stats", timeout=5).json() == {
            "requests": {"edna": 2},
            "answers": {"200": 1, "400": 1},
            "rows": 2,
            "largestOffset": 900,
            "maxConcurrent": 1,
        }

    def test_concurrent_requests_are_counted(self, sandbox):
        sandbox.faults.latency_ms = 100
        threads = [threading.Thread(target=ask_edna, args=(sandbox,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sandbox.journal.stats()["maxConcurrent"] == 3

    def test_it_says_whose_it_is(self, sandbox):
        assert "not the vendors'" in requests.get(f"{sandbox.url}/sandbox/", timeout=5).json()["about"]

    def test_the_clock_can_be_set(self, sandbox):
        def post(body: dict[str, Any]) -> requests.Response:
            return requests.post(f"{sandbox.url}/sandbox/clock", json=body, timeout=5)

        assert post({"advance": 90}).json() == {"now": "2026-03-20T12:01:30.000Z", "frozen": True}
        assert post({"at": "2026-04-01T00:00:00+02:00"}).json()["now"] == "2026-03-31T22:00:00.000Z"
        assert post({"freeze": False}).json()["frozen"] is False
        assert post({"at": "2026-04-01"}).status_code == post({"advance": "1"}).status_code == 400


class TestGeneratedHistories:
    def test_the_same_seed_gives_the_same_messages(self):
        def everything(seed: int) -> list[list[Message]]:
            box = Sandbox.generate(messages=500, seed=seed, end_ms=NOW)
            return [list(history) for history in (box.edna, *box.gateway.values())]

        assert everything(1) == everything(1)
        assert everything(1) != everything(2)

    def test_counts_and_times(self, generated):
        assert len(generated.edna) == sum(map(len, generated.gateway.values())) == 5000
        for history in (generated.edna, *generated.gateway.values()):
            sent = [message.sent_ms for message in history]
            assert (sent, sent[-1]) == (sorted(sent), NOW)
            assert sent[0] >= NOW - 60 * DAY_MS
            assert any(one == next_one for one, next_one in pairwise(sent)), "ties"
        sizes = Counter(message.sent_ms // HOUR_MS for message in generated.edna)
        assert max(sizes.values()) > 20 * 5000 / (60 * 24), "bursts"

    def test_all_that_the_vendors_have_is_there(self, generated):
        rows = generated.edna_rows()
        assert {row["deliveryStatus"] for row in rows} == {
            "ACCEPTED", "INVALID", "SENT", "UNDELIVERED", "DELIVERED", "READ",
        }  # fmt: skip
        assert {row["channelType"] for row in rows} == {"SMS", "WHATSAPP", "VIBER"}
        assert {row["direction"] for row in rows} == {"IN", "OUT"}
        assert {row.get("trafficType") for row in rows} == {"AD", "SERVICE", "HSM", "CHAT", None}
        contents = [json.loads(row["content"]) for row in rows]
        assert {content["type"] for content in contents} == {"TEXT", "FLOW", "FLOW_RESPONSE"}
        assert any("\n" in content.get("text", "") for content in contents)
        assert any("comment" in row and row["comment"] is None for row in rows)
        ids = [row["messageId"] for row in rows]
        ascending = sum(one < next_one for one, next_one in pairwise(ids)) / len(ids)
        assert 0.8 < ascending < 1
        statuses = {
            row["deliveryStatus"] for channel in generated.gateway for row in generated.gateway_rows(channel)
        }
        assert statuses == {"SENT", "DELIVERED", "ERROR", "EXPIRED", "UNKNOWN"}

    def test_few_messages_or_none_are_possible(self):
        for count in (0, 1, 2, 7, 31):
            box = Sandbox.generate(messages=count, seed=0)
            assert len(box.edna) == sum(map(len, box.gateway.values())) == count

    def test_served_pages_hold_what_the_rows_say(self, generated):
        sort = [
            {"property": "sentOrReceivedAt", "direction": "ASC"},
            {"property": "messageId", "direction": "ASC"},
        ]
        body = {"dateFrom": utc_time(NOW - 90 * DAY_MS), "dateTo": utc_time(NOW), "sort": sort}
        with generated.serve():
            content = []
            for offset in range(0, 5000, 1000):
                content += ask_edna(generated, body | {"offset": offset}).json()["content"]
            rcs = [ask_gateway(generated, {"channel": "RCS", "page": n, "limit": 500}).json() for n in (0, 1)]
        assert content == generated.edna_rows()
        assert [row for page in rcs for row in page][::-1] == generated.gateway_rows("RCS")

    def test_odd_rows_can_be_made(self):
        odd = edna_message(1, fields={"messageId": msgspec.UNSET, "newField": [1], "segments": "two"})
        row = Sandbox(edna=History([odd])).edna_rows()[0]
        assert "messageId" not in row
        assert (row["newField"], row["segments"]) == ([1], "two")


class TestServer:
    def test_it_leaves_nothing_behind(self):
        before = threading.active_count()
        with Sandbox(faults=Faults(latency_ms=60_000)).serve() as sandbox:
            arrived = threading.Event()
            sandbox.journal.watch = lambda _: arrived.set()
            waiting = threading.Thread(target=_ask_in_vain, args=(sandbox,))
            waiting.start()
            assert arrived.wait(5)
            url = sandbox.url
            begin = time.monotonic()
        waiting.join()
        assert time.monotonic() - begin < 2, "requests in flight are not waited for"
        assert threading.active_count() == before
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{url}/sandbox/", timeout=5)

    def test_a_port_that_is_taken_is_an_error(self, sandbox):
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), Sandbox().serve(port):
            pass


def _ask_in_vain(sandbox: Sandbox) -> None:
    with pytest.raises(requests.ConnectionError):
        ask_edna(sandbox)


class TestCommandLine:
    command = (sys.executable, "-c", "from msghistory_sandbox.cli import main; main()")

    def test_it_serves_until_told_to_stop(self):
        at = "2026-03-20T12:00:00Z"
        arguments = ["--port=0", "--messages=50", f"--end={at}", f"--clock={at}", "--freeze"]
        arguments += ["--edna-key=k", "--gateway-shape=guide", "--fail-next=1"]
        with subprocess.Popen(
            [*self.command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            sandbox = Sandbox()
            sandbox.url = process.stdout.readline().split()[-1]
            assert ask_gateway(sandbox).status_code == 500
            assert len(ask_gateway(sandbox, {"limit": 100}).json()["messages"]) <= 36
            assert ask_edna(sandbox, headers={"x-api-key": "k"}).json()["hasNext"] is False
            about = requests.get(f"{sandbox.url}/sandbox/", timeout=5).json()
            assert (about["now"], about["edna"]["messages"]) == ("2026-03-20T12:00:00.000Z", 50)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=5)
        assert (process.returncode, out, err) == (0, "", "")

    @pytest.mark.parametrize("argument", ["--messages=-1", "--clock=yesterday", "--endless=never"])
    def test_wrong_options_are_named(self, argument):
        command = [*self.command, argument]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        assert answer.returncode == 2
        assert argument.partition("=")[0] in answer.stderr
