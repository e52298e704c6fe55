"""First and incremental runs of all streams emit the messages that the vendors have."""

from __future__ import annotations

from datetime import timedelta

import pytest

from msghistory_sandbox.clock import Clock
from msghistory_sandbox.history import Message
from msghistory_sandbox.server import Sandbox
from tests.support import (
    END,
    END_MS,
    GATEWAY_STREAMS,
    STREAMS,
    config,
    in_send_order,
    iso,
    replication_key,
    sync,
    truth,
)

AGES = (timedelta(hours=1), *(timedelta(days=days) for days in (1, 3, 7, 30)))


@pytest.fixture(scope="module")
def first_run(life_like):
    return sync(config(life_like))


@pytest.mark.parametrize("stream", STREAMS)
def test_a_first_run_emits_every_message_once_in_order(life_like, first_run, stream):
    records = first_run.records(stream)
    assert len(records) > 1_000
    assert records == in_send_order(stream, truth(life_like, stream))


@pytest.mark.parametrize("stream", STREAMS)
def test_the_state_has_the_end_and_time_of_the_run(first_run, stream):
    assert first_run.bookmark(stream) == {
        "replication_key": replication_key(stream),
        "replication_key_value": iso(END),
        "as_of": iso(END),
        "read_from": iso(END - timedelta(days=90)),
    }


def test_a_rerun_without_new_messages_sends_no_request(life_like, first_run):
    before = len(life_like.journal.requests)
    output = sync(config(life_like), state=first_run.state)
    assert [message["type"] for message in output.messages if message["type"] == "RECORD"] == []
    assert len(life_like.journal.requests) == before
    assert output.state == first_run.state


@pytest.mark.parametrize("pause", [timedelta(hours=6), timedelta(days=1), timedelta(days=12)])
def test_an_incremental_run_emits_new_and_due_messages(pause):
    sandbox = Sandbox.generate(messages=6_000, seed=2, end_ms=END_MS)
    before = END - pause
    with sandbox.serve():
        sandbox.clock.set(END_MS - int(pause.total_seconds() * 1000))
        sandbox.clock.freeze()
        first = sync(config(sandbox, end_date=iso(before)))
        sandbox.clock.set(END_MS)
        second = sync(config(sandbox), state=first.state)
        changed = 0
        for stream in STREAMS:
            due = [
                record
                for record in truth(sandbox, stream)
                if any(
                    iso(before - age) < record[replication_key(stream)] <= iso(END - age)
                    for age in (timedelta(0), *AGES)
                )
            ]
            old = {record["messageId"]: record for record in first.records(stream)}
            assert second.records(stream) == in_send_order(stream, due)
            changed += sum(record != old.get(record["messageId"], record) for record in due)
        assert changed, "no status has changed, so the test is void"


def test_a_lookback_rereads_messages_before_the_bookmark(life_like):
    settings = config(life_like, revisit_after=[], end_date=iso(END - timedelta(days=1)))
    first = sync(settings)
    second = sync(config(life_like, revisit_after=[], lookback="P2D"), state=first.state)
    for stream in STREAMS:
        expected = [
            record
            for record in truth(life_like, stream)
            if record[replication_key(stream)] > iso(END - timedelta(days=3))
        ]
        assert second.records(stream) == in_send_order(stream, expected)


@pytest.mark.parametrize("row_format", ["reference", "guide", "translated"])
@pytest.mark.parametrize("oldest_first", [True, False])
def test_every_gateway_format_and_order_gives_the_same_records(row_format, oldest_first):
    sandbox = Sandbox.generate(messages=3_000, seed=3, end_ms=END_MS, clock=Clock(END_MS, frozen=True))
    sandbox.gateway_options.shape = row_format
    sandbox.gateway_options.oldest_first = oldest_first
    with sandbox.serve():
        output = sync(config(sandbox))
    for stream in GATEWAY_STREAMS.values():
        expected = in_send_order(stream, truth(sandbox, stream))
        if row_format == "guide":
            # The guide's example lacks two fields and has another.
            for record in expected:
                record |= {"customerMessageId": None, "deliveryStatusDescription": None}
                record |= {"direction": "OUTBOUND"}
        assert output.records(stream) == expected


@pytest.mark.parametrize("exclusive_from", [True, False])
@pytest.mark.parametrize("exclusive_to", [True, False])
@pytest.mark.parametrize("created_lead_ms", [0, 90_000])
def test_edna_bounds_may_be_inclusive_exclusive_or_shifted(
    life_like, sandbox, exclusive_from, exclusive_to, created_lead_ms
):
    sandbox.edna.add(*life_like.edna)
    sandbox.edna_options.exclusive_from = exclusive_from
    sandbox.edna_options.exclusive_to = exclusive_to
    sandbox.edna_options.created_lead_ms = created_lead_ms
    output = sync(config(sandbox, end_date=iso(END + timedelta(days=1))))
    records = output.records("edna_history")
    assert in_send_order("edna_history", records) == in_send_order(
        "edna_history", truth(sandbox, "edna_history")
    )


def test_a_burst_is_read_with_shallow_offsets(sandbox):
    burst = END - timedelta(days=200)
    times = [burst + timedelta(milliseconds=144 * number) for number in range(25_000)]
    times += [END - timedelta(minutes=20 * number) for number in range(25_000)]
    sandbox.edna.add(
        *(
            Message(id=number, sent_ms=int(time.timestamp() * 1000), channel="SMS")
            for number, time in enumerate(times, start=1)
        )
    )
    output = sync(config(sandbox, start_date=iso(END - timedelta(days=365))))
    assert output.records("edna_history") == in_send_order("edna_history", truth(sandbox, "edna_history"))
    requests = [request for request in sandbox.journal.requests if request.api == "edna"]
    assert max(request.offset for request in requests) < 20_000
    assert len(requests) <= 1.3 * 50


def test_thousands_of_messages_in_one_millisecond_are_read(sandbox):
    sandbox.edna.add(
        *(Message(id=number, sent_ms=END_MS - 5_000, channel="SMS") for number in range(1, 21_001))
    )
    output = sync(config(sandbox))
    assert [record["messageId"] for record in output.records("edna_history")] == list(range(1, 21_001))


def test_filters_are_sent_in_the_documented_form(sandbox):
    sandbox.edna.add(Message(id=1, sent_ms=END_MS, channel="SMS", fields={"subjectId": 50192}))
    sync(
        config(
            sandbox,
            edna_channel_types=["SMS", "VIBER"],
            edna_traffic_types=["AD"],
            edna_direction="OUT",
            edna_subject_id=50192,
            edna_message_id=567890,
            edna_subscriber_address="35000000000",
            edna_subscriber_type="PHONE",
            partner_gateway_status="DELIVERED",
        )
    )
    sent = {request.api: request.params for request in sandbox.journal.requests}
    assert (
        sent["edna"].items()
        >= {
            "channelTypes": ["SMS", "VIBER"],
            "trafficTypes": ["AD"],
            "direction": "OUT",
            "subjectId": 50192,
            "messageId": 567890,
            "subscriberFilter": {"address": "35000000000", "type": "PHONE"},
            "sort": [{"property": "messageId", "direction": "ASC"}],
        }.items()
    )
    assert sent["gateway"]["status"] == "DELIVERED"


def test_deselected_fields_and_streams_are_not_emitted(life_like):
    catalog = {
        "streams": [
            {
                "tap_stream_id": "edna_history",
                "stream": "edna_history",
                "key_properties": ["messageId"],
                "replication_key": "sentOrReceivedAt",
                "schema": {
                    "type": "object",
                    "properties": {
                        "messageId": {"type": ["integer"]},
                        "content": {"type": ["string", "null"]},
                        "sentOrReceivedAt": {"type": ["string"], "format": "date-time"},
                    },
                },
                "metadata": [
                    {"breadcrumb": [], "metadata": {"selected": True}},
                    {"breadcrumb": ["properties", "content"], "metadata": {"selected": False}},
                ],
            }
        ]
    }
    output = sync(config(life_like), catalog=catalog)
    records = output.records("edna_history")
    assert len(records) == len(life_like.edna)
    # The catalog is from an older version, whose key lacked the direction.
    assert all(record.keys() == {"messageId", "direction", "sentOrReceivedAt"} for record in records)
    assert not any(output.records(stream) for stream in GATEWAY_STREAMS.values())


def test_stream_maps_and_flattening_work(life_like):
    maps = {"edna_history": {"address": "md5(address)", "content": None}}
    output = sync(
        config(
            life_like,
            end_date=iso(END - timedelta(days=59)),
            stream_maps=maps,
            flattening_enabled=True,
            flattening_max_depth=1,
        )
    )
    records = output.records("edna_history")
    assert records
    assert all("content" not in record and len(record["address"]) == 32 for record in records)
    schema = next(message["schema"] for message in output.messages if message["type"] == "SCHEMA")
    assert "content" not in schema["properties"]


def test_full_table_replication_reads_everything_every_time(life_like, first_run):
    catalog = {"streams": [_full_table("edna_history", first_run)]}
    output = sync(config(life_like), catalog=catalog, state=first_run.state)
    assert len(output.records("edna_history")) == len(life_like.edna)


def _full_table(stream, output):
    schema = next(
        message["schema"]
        for message in output.messages
        if message["type"] == "SCHEMA" and message["stream"] == stream
    )
    return {
        "tap_stream_id": stream,
        "stream": stream,
        "key_properties": ["messageId"],
        "replication_method": "FULL_TABLE",
        "schema": schema,
        "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}],
    }
