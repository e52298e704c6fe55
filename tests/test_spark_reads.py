"""The driver's and the tasks' parts of Spark reads, without Spark."""

from __future__ import annotations

import json
import pickle
from datetime import timedelta, timezone
from threading import Thread
from typing import Any

import msgspec
import pytest

pytest.importorskip("pyspark", reason="needs the extra spark")

import pyarrow as pa

from msghistory_sandbox.history import Message
from tap_msghistory.errors import TapError
from tap_msghistory.planning.windows import Reason, Window
from tap_msghistory.reading.parts import Part
from tap_msghistory.spark.source import (
    HistoryPartition,
    MessageHistoryDataSource,
    MessageHistoryReader,
    MessageHistoryStreamReader,
    Offset,
)
from tests.support import (
    END,
    END_MS,
    EXPORT,
    STREAMS,
    config,
    in_send_order,
    iso,
    replication_key,
    sync,
    truth,
)

EDNA, SMS = "edna_history", "partner_gateway_history_sms"
DAY_MS = 86_400_000


def source(options) -> MessageHistoryDataSource:
    """Return a data source with options as text, as Spark passes them."""
    return MessageHistoryDataSource({name: text(value) for name, value in options.items()})


def text(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def options(sandbox, stream=EDNA, **more):
    return {**config(sandbox), "stream": stream, **more}


def batch_reader(given_options) -> MessageHistoryReader:
    made = source(given_options)
    return made.reader(made.schema())


def stream_reader(given_options) -> MessageHistoryStreamReader:
    made = source(given_options)
    return made.streamReader(made.schema())


def rows(reader, partitions):
    """Return the rows that tasks yield; each task has its own reader."""
    parts = [_task(pickle.dumps((reader, partition))) for partition in partitions]
    return [row for part in parts for batch in part for row in batch.to_pylist()]


def _task(pickled):
    reader, partition = pickle.loads(pickled)  # noqa: S301 - just pickled
    return [*reader.read(partition)]


def as_record(row):
    """Return a row as the tap emits it."""
    record = {name: iso(value) if hasattr(value, "astimezone") else value for name, value in row.items()}
    record["extraFields"] = record["extraFields"] and json.loads(record["extraFields"])
    return record


def read_all(given_options):
    reader = batch_reader(given_options)
    return rows(reader, reader.partitions())


def at(number, sent_ms=None, **fields):
    sent_ms = END_MS - number * 1000 if sent_ms is None else sent_ms
    return Message(id=number, sent_ms=sent_ms, channel="SMS", fields=fields)


# The same rows as the tap.


UNLIMITED = {"partner_gateway_requests_per_second": 10**4, "partner_gateway_requests_per_minute": 10**6}


@pytest.mark.parametrize("stream", [EDNA, SMS])
def test_a_batch_read_equals_the_taps_first_run(large, stream):
    emitted = sync(config(large, **UNLIMITED)).records(stream)
    for tasks in (1, 4):
        reader = batch_reader(options(large, stream, num_partitions=tasks, **UNLIMITED))
        partitions = reader.partitions()
        assert (len(partitions) > 1) == (tasks > 1)
        read = [as_record(row) for row in rows(reader, partitions)]
        assert in_send_order(stream, read) == emitted


@pytest.mark.parametrize("stream", STREAMS)
def test_every_stream_can_be_read(life_like, stream):
    read = [as_record(row) for row in read_all(options(life_like, stream))]
    assert in_send_order(stream, read) == in_send_order(stream, truth(life_like, stream))


def test_columns_have_the_types_of_the_schema(life_like):
    schema = batch_reader(options(life_like, SMS)).read(
        HistoryPartition(0, Part([Window(END - timedelta(hours=9), END, Reason.NEW)]))
    )
    types = {field.name: field.type for field in next(schema).schema}
    assert types["sendDate"] == types["deliveryDate"] == pa.timestamp("us", tz="UTC")
    assert types["cost"] == pa.float64()
    assert types["parts"] == pa.int64()
    assert types["messageId"] == types["extraFields"] == pa.string()


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("lead_ms", [0, 5_000])
def test_messages_at_partition_boundaries_are_read_once(sandbox, exclusive, lead_ms):
    """With inclusive or exclusive bounds, and with filters by another time than the send time."""
    sandbox.edna_options.exclusive_from = sandbox.edna_options.exclusive_to = exclusive
    sandbox.edna_options.created_lead_ms = lead_ms
    start_ms = END_MS - 64 * DAY_MS
    # Partitions are split at whole days; many messages are sent around those instants.
    sandbox.edna.add(
        *(
            at(day * 1_000 + number, sent_ms=start_ms + day * DAY_MS + number // 300 - 1)
            for day in range(1, 64)
            for number in range(900)
        )
    )
    given_options = options(sandbox, num_partitions=4, start_date=iso(END - timedelta(days=64)))
    reader = batch_reader(given_options)
    partitions = reader.partitions()
    assert [partition.part.shares_start_boundary for partition in partitions] == [False, True, True, True]
    ids = [row["messageId"] for row in rows(reader, partitions)]
    assert len(ids) == len({*ids}) == len(sandbox.edna)


def test_an_empty_range_gives_no_rows(sandbox):
    assert read_all(options(sandbox)) == []
    assert read_all(options(sandbox, start_date=iso(END))) == []
    assert read_all(options(sandbox, SMS, start_date=iso(END))) == []


def test_an_export_is_read_by_one_task(sandbox):
    assert len(batch_reader(options(sandbox, EXPORT, num_partitions=8)).partitions()) == 1


# Partitions.


def test_a_burst_is_divided_among_partitions(sandbox):
    """60,000 messages within an hour are not read by a single task."""
    sandbox.edna.add(*(at(number, sent_ms=END_MS - 40 * DAY_MS + number * 60) for number in range(60_000)))
    partitions = batch_reader(options(sandbox, num_partitions=4)).partitions()
    reader = batch_reader(options(sandbox, num_partitions=4))
    sizes = [len(rows(reader, [partition])) for partition in partitions]
    assert sum(sizes) == 60_000
    assert max(sizes) < 30_000


def test_few_messages_or_one_task_are_not_divided(life_like):
    assert len(batch_reader(options(life_like, num_partitions=16)).partitions()) <= 2
    before = len(life_like.journal.requests)
    assert len(batch_reader(options(life_like, num_partitions=1)).partitions()) == 1
    assert len(life_like.journal.requests) == before


# Invalid messages.


@pytest.fixture
def with_invalid_messages(sandbox):
    sandbox.edna.add(at(1), at(2, messageId=msgspec.UNSET), at(3, sentOrReceivedAt="yesterday"), at(4))
    return sandbox


def test_a_rejected_message_fails_the_read_by_default(with_invalid_messages):
    with pytest.raises(
        TapError, match=r'2 messages .* \(no readable \w+\)\. Set the option rejected to "column"'
    ):
        read_all(options(with_invalid_messages))


def test_rejected_messages_can_be_in_a_column(with_invalid_messages):
    read = read_all(options(with_invalid_messages, rejected="column"))
    assert sorted(row["messageId"] for row in read if not row["rejected"]) == [1, 4]
    rejected = [json.loads(row["rejected"]) for row in read if row["rejected"]]
    assert {message["reason"] for message in rejected} == {
        "no readable messageId",
        "no readable sentOrReceivedAt",
    }
    assert {message["message"]["sentOrReceivedAt"] for message in rejected} >= {"yesterday"}
    assert rejected_rows(read) == [{"rejected"}] * 2
    assert all(
        value is None for row in read if row["rejected"] for name, value in row.items() if name != "rejected"
    )


def rejected_rows(read):
    """Return the columns of each rejected message that have a value."""
    return [{name for name, value in row.items() if value is not None} for row in read if row["rejected"]]


def test_huge_numbers_and_unknown_fields_are_kept(sandbox):
    fields = {"cost": 10**400, "parts": "many", "unknown": {"deep": [1]}}
    sandbox.gateway["SMS"].add(Message(id="a", sent_ms=END_MS, channel="SMS", fields=fields))
    (row,) = read_all(options(sandbox, SMS))
    assert row["cost"] == float("inf")
    assert json.loads(row["extraFields"]) == {"parts": "many", "unknown": {"deep": [1]}}


# Accounts and their rate limits.


def test_several_accounts_are_distinguished_by_a_column(life_like, sandbox):
    sandbox.edna_options.key = "south"
    sandbox.edna.add(at(1), at(2))
    accounts = [
        {
            "name": "north",
            "edna_api_key": life_like.edna_options.key,
            "edna_base_url": life_like.edna_base_url,
        },
        {"name": "south", "edna_api_key": "south", "edna_base_url": sandbox.edna_base_url},
    ]
    read = read_all(options(life_like, accounts=accounts, num_partitions=2))
    assert next(iter(read[0])) == "account"
    by_account = {name: [row for row in read if row["account"] == name] for name in ("north", "south")}
    assert len(by_account["north"]) == len(truth(life_like, EDNA))
    assert sorted(row["messageId"] for row in by_account["south"]) == [1, 2]
    assert len(read) == len(by_account["north"]) + 2


def test_the_setting_account_is_a_column_without_other_accounts(life_like):
    read = read_all(options(life_like, account="north", rejected="column"))
    assert {row["account"] for row in read} == {"north"}
    assert len(read) == len(truth(life_like, EDNA))


def test_exactly_the_ranges_to_reread_are_read(life_like):
    ranges = [(END - timedelta(days=20), END - timedelta(days=19)), (END - timedelta(days=5), END)]
    reread = ",".join(f"{EDNA}={iso(start)}/{iso(end)}" for start, end in ranges)
    expected = [
        record
        for record in truth(life_like, EDNA)
        if any(iso(start) < record["sentOrReceivedAt"] <= iso(end) for start, end in ranges)
    ]
    read = read_all(options(life_like, reread=reread))
    assert {row["messageId"] for row in read} == {record["messageId"] for record in expected}
    assert len(read) == len(expected)


def test_exports_are_read_again_without_the_setting_that_enables_them(sandbox):
    reader = batch_reader(options(sandbox, EXPORT, reread=f"{EXPORT}=2024-03-01/2024-03-02"))
    (task,) = reader.partitions()
    (window,) = task.part.windows
    assert (iso(window.start), iso(window.end)) == ("2024-03-01T00:00:00.000Z", "2024-03-02T00:00:00.000Z")


@pytest.mark.parametrize(
    ("reader", "stream", "expected"),
    [
        ("reader", SMS, "only ranges of the stream partner_gateway_history_sms"),
        ("streamReader", EDNA, "no effect in a streaming query"),
    ],
)
def test_rereads_without_effect_are_refused(sandbox, reader, stream, expected):
    made = source(options(sandbox, stream, reread=f"{EDNA}=2024-03-01/2024-03-02"))
    with pytest.raises(TapError, match=expected):
        getattr(made, reader)(made.schema())


def test_an_error_names_the_account(life_like):
    accounts = [{"name": "north"}, {"name": "south", "edna_api_key": "wrong"}]
    for tasks in (2, 4):
        with pytest.raises(TapError, match=r"^account south: edna: status 401 Api key not found"):
            read_all(options(life_like, accounts=accounts, num_partitions=tasks))


def test_accounts_may_be_json_or_the_text_of_a_list(sandbox):
    accounts = [{"name": "a", "edna_direction": "OUT"}]
    for written in (json.dumps(accounts), str(accounts), str(tuple(accounts))):
        assert batch_reader(options(sandbox, accounts=written)).partitions()


def test_partitions_have_no_credentials_but_count_who_shares_them(sandbox):
    sandbox.edna.add(*(at(number) for number in range(30_000)))
    same = [{"name": name, "partner_gateway_api_key": name} for name in "abc"]  # of the other vendor
    other = {"name": "d", "edna_api_key": "other"}
    partitions = batch_reader(options(sandbox, accounts=[*same, other])).partitions()
    assert [partition.shared_by for partition in partitions] == [3, 3, 3, 1]
    assert b"other" not in pickle.dumps(partitions)


def test_accounts_with_the_same_credential_share_its_rate_limit(sandbox):
    messages = (at(f"{number}", sent_ms=END_MS - number * 60_000) for number in range(30_000))
    sandbox.gateway["SMS"].add(*messages)
    url = {"partner_gateway_base_url": f"{sandbox.gateway_base_url}/"}
    accounts = [{"name": "a"}, {"name": "b", "edna_api_key": "another"}, {"name": "c", **url}]
    limit = {"partner_gateway_requests_per_second": 5}
    reader = batch_reader(options(sandbox, SMS, accounts=accounts, num_partitions=20, **limit))
    assert [partition.shared_by for partition in reader.partitions()] == [3] * 3
    limit = {"partner_gateway_requests_per_second": 2}
    with pytest.raises(TapError, match=r"3 accounts share a credential, but .* divided among at most 2"):
        batch_reader(options(sandbox, SMS, accounts=accounts, **limit)).partitions()


def test_a_wrong_key_fails_after_one_request(sandbox):
    with pytest.raises(TapError, match="status 401"):
        batch_reader(options(sandbox, edna_api_key="wrong", num_partitions=8)).partitions()
    assert len(sandbox.journal.requests) == 1


def test_credentials_may_be_in_the_drivers_environment(life_like, monkeypatch):
    given_options = options(life_like)
    for name in ("edna_api_key", "partner_gateway_api_key"):
        monkeypatch.setenv(f"TAP_MSGHISTORY_{name.upper()}", given_options.pop(name))
    reader = batch_reader(given_options)
    partitions = reader.partitions()
    monkeypatch.delenv("TAP_MSGHISTORY_EDNA_API_KEY")
    assert len(rows(reader, partitions)) == len(truth(life_like, EDNA))


def test_concurrent_tasks_respect_a_rate_limit_together(sandbox):
    """As counted by the server, with two tasks at the same time."""
    sandbox.gateway["SMS"].add(
        *(at(f"{number}", sent_ms=END_MS - number * 60_000) for number in range(24_000))
    )
    sandbox.gateway_options.requests_per_second = 20
    given_options = options(sandbox, SMS, num_partitions=2, partner_gateway_requests_per_second=20)
    reader = batch_reader(given_options)
    partitions = reader.partitions()
    assert [partition.shared_by for partition in partitions] == [2, 2]
    read: list[dict[str, Any]] = []
    threads = [
        Thread(target=lambda partition=partition: read.extend(rows(reader, [partition])))
        for partition in partitions
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({row["messageId"] for row in read}) == len(read) == 24_000
    assert sandbox.journal.by_status["429"] == 0


# Streaming.


@pytest.mark.parametrize("stream", [EDNA, SMS])
def test_micro_batches_equal_the_taps_runs(large, stream):
    offset: Offset = {}
    state = None
    for days in (40, 9, 9, 3, 0):
        more = {**UNLIMITED, "end_date": iso(END - timedelta(days=days))}
        reader = stream_reader(options(large, stream, num_partitions=3, **more))
        end = reader.latestOffset(offset)
        read = [as_record(row) for row in rows(reader, reader.partitions(offset, end))]
        output = sync(config(large, **more), state=state)
        assert in_send_order(stream, read) == output.records(stream)
        assert end == {stream: output.bookmark(stream)}
        offset, state = end, output.state


def test_a_backfill_in_spans_reads_each_message_once(life_like):
    reader = stream_reader(options(life_like, max_span_per_trigger="P20D", revisit_after=["P30D"]))
    reader.prepareForTriggerAvailableNow()
    offset = reader.initialOffset()
    read, batches = [], 0
    while (end := reader.latestOffset(offset)) != offset:
        read += rows(reader, reader.partitions(offset, end))
        offset, batches = end, batches + 1
    assert batches == 5  # for 90 days
    # Messages in the last millisecond of a batch are read again by the next.
    assert {row["messageId"] for row in read} == {record["messageId"] for record in truth(life_like, EDNA)}
    assert len(read) <= len(truth(life_like, EDNA)) + batches


def test_a_batch_read_ignores_max_span_per_trigger(life_like):
    assert len(read_all(options(life_like, max_span_per_trigger="P1D"))) == len(truth(life_like, EDNA))


def test_before_pyspark_4_2_everything_is_one_batch(life_like):
    reader = stream_reader(options(life_like, max_span_per_trigger="P20D"))
    assert reader.latestOffset()[EDNA]["replication_key_value"] == iso(END)


def test_accounts_can_be_added_and_removed_between_batches(sandbox):
    sandbox.edna.add(at(1))
    first = stream_reader(options(sandbox, accounts=[{"name": "a"}]))
    offset = first.latestOffset({})
    second = stream_reader(options(sandbox, accounts=[{"name": "b"}]))
    end = second.latestOffset(offset)
    assert {*end} == {f"{EDNA} of a", f"{EDNA} of b"}
    assert end[f"{EDNA} of a"] == offset[f"{EDNA} of a"]
    assert [row["account"] for row in rows(second, second.partitions(offset, end))] == ["b"]


def test_an_offset_that_is_not_readable_is_refused(sandbox):
    with pytest.raises(TapError, match="offset of edna_history is not readable"):
        stream_reader(options(sandbox)).latestOffset({EDNA: {"replication_key_value": "yesterday"}})


# Options.


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"stream": "edna"}, "Option stream must be one of edna_history, partner_gateway_history_sms"),
        ({"stream": "rejected_messages"}, "Option stream must be one of"),
        ({"num_partitions": 0}, "Option num_partitions must be an integer of at least 1"),
        ({"num_partitions": "many"}, "Option num_partitions must be"),
        ({"rejected": "drop"}, "Option rejected must be one of fail, column"),
        ({"max_span_per_trigger": "30"}, "Option max_span_per_trigger must be an ISO 8601 duration"),
        ({"max_span_per_trigger": "PT0S"}, "Option max_span_per_trigger must be"),
        ({"max_span_per_trigger": "P99999999999D"}, "Option max_span_per_trigger must be"),
        ({"concurency": 4}, "Setting concurency is unknown; did you mean concurrency?"),
        ({"path": "x"}, "Setting path has no effect in Spark. Call load() without arguments"),
        (
            {"stream_maps": "{}"},
            "Setting stream_maps has no effect in Spark. Use Spark's own functions",
        ),
        ({"max_rejected": 3}, "Setting max_rejected has no effect in Spark. Set the option rejected"),
        ({"start_date": "tomorrow"}, "Setting start_date must be an ISO 8601 date"),
        (
            {"page_size": 5_000, "concurrency": 99},
            "Setting page_size must be an integer from 1 to 1000; Setting",
        ),
        ({"revisit_after": "P1D"}, 'Option revisit_after must be a list of strings, for example ["a", "b"]'),
        ({"accounts": "[]"}, "Option accounts must be a list of objects"),
        ({"accounts": "north"}, "Option accounts must be a list of objects"),
        ({"accounts": [{"edna_api_key": "x"}]}, "each account must have a unique name"),
        ({"accounts": [{"name": "a"}, {"name": "a"}]}, "each account must have a unique name"),
        (
            {"accounts": [{"name": "a", "edna_api_key": "K9\n"}]},
            "Option accounts, a: Setting edna_api_key must be",
        ),
        ({"accounts": [{"name": "a", "key": "x"}]}, "Option accounts, a: Setting key is unknown"),
        ({"accounts": [{"name": "a", "stream": "x"}]}, "accounts, a: Setting stream is unknown"),
    ],
)
def test_wrong_options_are_reported_before_any_request(sandbox, more, message):
    with pytest.raises(TapError) as error:
        source({**options(sandbox), **more}).schema()
    assert message in str(error.value)
    assert "K9" not in str(error.value)
    assert not sandbox.journal.requests


def test_a_stream_needs_a_credential_of_its_vendor(sandbox):
    given_options = options(sandbox)
    del given_options["edna_api_key"]
    with pytest.raises(TapError, match="edna_history requires a credential of its vendor: edna_api_key"):
        source(given_options).schema()


def test_lists_may_be_the_text_that_spark_passes(life_like):
    given_options = options(life_like, edna_channel_types=["SMS"], edna_traffic_types='["AD", "SERVICE"]')
    assert {row["channelType"] for row in read_all(given_options)} == {"SMS"}


def test_a_different_schema_is_refused(sandbox):
    made = source(options(sandbox))
    with pytest.raises(TapError, match="remove schema"):
        made.reader(made.schema().add("more", "string"))


def test_send_times_are_utc(life_like):
    row = read_all(options(life_like))[0]
    assert row[replication_key(EDNA)].astimezone(timezone.utc) <= END


class BrokenWindows(list[Window]):
    """Windows that cannot be iterated, for an error that quotes a message."""

    def __iter__(self):
        raise ValueError("35000777333 text")


def test_an_unexpected_error_shows_its_location_but_no_message(sandbox):
    reader = batch_reader(options(sandbox))
    windows = BrokenWindows([Window(END - timedelta(hours=1), END, Reason.NEW)])
    partition = HistoryPartition(0, Part(windows))
    with pytest.raises(TapError, match=r"^Unexpected ValueError in \w+\.py, line \d+$") as error:
        [*reader.read(partition)]
    assert error.value.__suppress_context__
