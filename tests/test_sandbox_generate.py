"""Generated histories: reproducible, realistic, and served as rendered."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from msghistory_sandbox import Clock, History, Message, Sandbox
from msghistory_sandbox.times import DAY_MS, utc_time
from tests.sandbox_client import HOUR_MS, NOW, edna_message, request_edna, request_gateway


@pytest.fixture(scope="module")
def generated():
    return Sandbox.generate(messages=5000, seed=7, end_ms=NOW, clock=Clock(NOW + 30 * DAY_MS, frozen=True))


def test_the_same_seed_gives_the_same_messages():
    def everything(seed: int) -> list[list[Message]]:
        box = Sandbox.generate(messages=500, seed=seed, end_ms=NOW)
        return [list(history) for history in (box.edna, *box.gateway.values())]

    assert everything(1) == everything(1)
    assert everything(1) != everything(2)


def test_generated_traffic_has_bursts_and_ties(generated):
    assert len(generated.edna) == sum(map(len, generated.gateway.values())) == 5000
    for history in (generated.edna, *generated.gateway.values()):
        sent = [message.sent_ms for message in history]
        assert (sent, sent[-1]) == (sorted(sent), NOW)
        assert sent[0] >= NOW - 60 * DAY_MS
        assert any(one == next_one for one, next_one in pairwise(sent)), "ties"
    sizes = Counter(message.sent_ms // HOUR_MS for message in generated.edna)
    assert max(sizes.values()) > 20 * 5000 / (60 * 24), "bursts"


def test_generated_data_covers_statuses_channels_and_contents(generated):
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


def test_histories_can_be_small_or_empty():
    for count in (0, 1, 2, 7, 31):
        box = Sandbox.generate(messages=count, seed=0)
        assert len(box.edna) == sum(map(len, box.gateway.values())) == count


def test_served_pages_match_the_rendered_rows(generated):
    sort = [
        {"property": "sentOrReceivedAt", "direction": "ASC"},
        {"property": "messageId", "direction": "ASC"},
    ]
    body = {"dateFrom": utc_time(NOW - 90 * DAY_MS), "dateTo": utc_time(NOW), "sort": sort}
    with generated.serve():
        content = []
        for offset in range(0, 5000, 1000):
            content += request_edna(generated, body | {"offset": offset}).json()["content"]
        rcs = [request_gateway(generated, {"channel": "RCS", "page": n, "limit": 500}).json() for n in (0, 1)]
    assert content == generated.edna_rows()
    assert [row for page in rcs for row in page][::-1] == generated.gateway_rows("RCS")


def test_fields_can_make_rows_malformed():
    malformed = edna_message(1, fields={"messageId": msgspec.UNSET, "newField": [1], "segments": "two"})
    row = Sandbox(edna=History([malformed])).edna_rows()[0]
    assert "messageId" not in row
    assert (row["newField"], row["segments"]) == ([1], "two")
