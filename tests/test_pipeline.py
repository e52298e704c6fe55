"""Two syncs of both vendors' histories through Meltano into PostgreSQL, a day apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

REASON = "needs the dependency group pipeline"
pytest.importorskip("meltano", reason=REASON)
sql = pytest.importorskip("psycopg.sql", reason=REASON)

from demo.pipeline import Pipeline, pipeline  # noqa: E402
from demo.postgres import Warehouse, warehouse  # noqa: E402
from demo.processes import interruptible  # noqa: E402
from demo.report import completeness  # noqa: E402
from msghistory_sandbox.clock import Clock  # noqa: E402
from msghistory_sandbox.server import Sandbox  # noqa: E402
from tap_msghistory.schemas import types_of  # noqa: E402
from tests.support import END, END_MS, LEDGER, ROOT, STREAMS, iso, truth  # noqa: E402

pytestmark = pytest.mark.pipeline

DAYS = 40
DAY = timedelta(days=1)
REVISIT_AFTER = [timedelta(hours=1), *(timedelta(days=days) for days in (1, 3, 7, 30))]
SENT = dict.fromkeys(STREAMS, "sendDate") | {"edna_history": "sentOrReceivedAt"}
KINDS = dict.fromkeys(STREAMS, "partner_gateway_message") | {"edna_history": "edna_message"}

Tables = dict[str, dict[Any, dict[str, Any]]]
"""Records by stream and message id."""


@dataclass
class Syncs:
    """The contents of the sandbox and of the tables after each of two syncs."""

    warehouse: Warehouse
    project: Pipeline
    expected: list[Tables]
    loaded: list[Tables]
    rows_read: list[int]


@pytest.fixture(scope="module")
def syncs() -> Iterator[Syncs]:
    clock = Clock(END_MS - round(DAY.total_seconds() * 1000), frozen=True)
    sandbox = Sandbox.generate(messages=3_000, days=DAYS, end_ms=END_MS, clock=clock, unknown_rate=0.05)
    with (
        interruptible(),
        sandbox.serve(),
        warehouse() as database,
        pipeline(sandbox, database, start_date=iso(END - timedelta(days=DAYS + 1))) as project,
    ):
        syncs = Syncs(database, project, [], [], [])
        for end in (END - DAY, END):
            project.sync(end_date=iso(end))
            syncs.expected.append({stream: by_id(truth(sandbox, stream)) for stream in STREAMS})
            syncs.loaded.append({stream: by_id(table(database, stream)) for stream in STREAMS})
            syncs.rows_read.append(sandbox.journal.rows)
            clock.advance(DAY.total_seconds())
        yield syncs


def by_id(records: list[dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    found = {record["messageId"]: record for record in records}
    assert len(found) == len(records)
    return found


def table(database: Warehouse, stream: str) -> list[dict[str, Any]]:
    cursor = database.connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(stream)))
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, map(as_in_a_record, row), strict=True)) for row in cursor]


def as_in_a_record(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value.replace(tzinfo=timezone.utc))
    return float(value) if isinstance(value, Decimal) else value


def read_by_second_sync(sent: str) -> bool:
    moment = datetime.fromisoformat(sent.replace("Z", "+00:00"))
    ranges = [(END - DAY, END), *((END - DAY - age, END - age) for age in REVISIT_AFTER)]
    return any(start < moment <= end for start, end in ranges)


@pytest.mark.parametrize("stream", STREAMS)
def test_the_first_sync_loads_every_message_unchanged(syncs, stream):
    assert syncs.loaded[0][stream]
    assert syncs.loaded[0][stream] == syncs.expected[0][stream]


@pytest.mark.parametrize("stream", STREAMS)
def test_the_second_sync_adds_the_new_and_updates_the_revisited(syncs, stream):
    before, now = syncs.expected[0][stream], syncs.expected[1][stream]
    assert syncs.loaded[1][stream] == {
        key: record if read_by_second_sync(record[SENT[stream]]) else before[key]
        for key, record in now.items()
    }
    assert now.keys() > before.keys()


def test_statuses_have_changed_between_the_syncs(syncs):
    first, second = syncs.loaded
    changed = {
        stream: [key for key, record in first[stream].items() if record != second[stream][key]]
        for stream in STREAMS
    }
    assert changed["edna_history"]
    assert changed["partner_gateway_history_sms"]


def test_the_second_sync_resumes_from_meltanos_state(syncs):
    first, both = syncs.rows_read
    assert both - first < first / 2


@pytest.mark.parametrize("stream", STREAMS)
def test_a_table_has_the_streams_primary_key(syncs, stream):
    query = sql.SQL("""
        SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
        WHERE indisprimary AND indrelid = {}::regclass
    """)
    key = {"messageId", "direction"} if stream == "edna_history" else {"messageId"}
    assert {name for (name,) in syncs.warehouse.query(query.format(sql.Literal(stream)))} == key


@pytest.mark.parametrize("stream", STREAMS)
def test_a_table_has_the_schemas_columns_and_types(syncs, stream):
    query = sql.SQL("""
        SELECT column_name, data_type FROM information_schema.columns
        WHERE table_schema = current_schema() AND table_name = {}
    """)
    schema = json.loads((ROOT / "schemas" / f"{KINDS[stream]}.json").read_text())
    assert dict(syncs.warehouse.query(query.format(sql.Literal(stream)))) == {
        name: column_type(declared) for name, declared in schema["properties"].items()
    }


def column_type(schema: dict[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "timestamp without time zone"
    types = {"integer": "bigint", "number": "numeric", "string": "text", "object": "jsonb"}
    return types[types_of(schema)[0]]


# The ledger, and the queries of docs/sql.


def query_results(database: Warehouse) -> list[list[tuple[Any, ...]]]:
    """Return missing messages, gaps, unconfirmed windows, future bookmarks, progress, and open statuses."""
    return [database.connection.execute(query).fetchall() for _, query in completeness(database)]


def test_by_the_ledger_nothing_is_missing(syncs):
    missing, never_read, in_doubt, in_future, read_to, _ = query_results(syncs.warehouse)
    assert missing == never_read == in_doubt == in_future == []
    end = END.replace(tzinfo=None)
    assert [(stream, until) for stream, until, _ in read_to] == [(stream, end) for stream in sorted(STREAMS)]


def test_messages_missing_from_the_warehouse_are_found_by_day(syncs):
    with syncs.warehouse.connection.transaction(force_rollback=True):
        day = syncs.warehouse.query(
            sql.SQL("""
                DELETE FROM edna_history WHERE "messageId" = (SELECT max("messageId") FROM edna_history)
                RETURNING "sentOrReceivedAt"::date
            """)
        )[0][0]
        ((stream, first, last, in_ledger, in_warehouse, missing),) = query_results(syncs.warehouse)[0]
    assert (stream, missing, in_ledger - in_warehouse) == ("edna_history", 1, 1)
    assert first <= day <= last


def add_window(
    database: Warehouse, since: datetime, until: datetime, messages: int, run: str = "run", **columns: Any
) -> None:
    """Add a window of edna to the ledger."""
    values = {"confirmed": True, "refused": False, "readAt": until, **columns}
    row = sql.SQL("""
        INSERT INTO sync_windows
            ("runId", stream, "windowFrom", "windowTo", reason, messages, confirmed, refused, "readAt")
        VALUES ({}, 'edna_history', {}, {}, 'new', {}, {}, {}, {})
    """)
    database.connection.execute(row.format(run, since, until, messages, *values.values()))


def test_messages_missing_at_window_boundaries_are_found(syncs):
    """40 messages are sent at a boundary, and may count in either window; 30 others are missing."""
    first, second, third = (datetime(2030, 1, 1, hour) for hour in range(3))  # noqa: DTZ001 - as in the table
    sent = {first + timedelta(minutes=1): 70, second: 40, third: 50}
    with syncs.warehouse.connection.transaction(force_rollback=True):
        add_window(syncs.warehouse, first, second, 100)
        add_window(syncs.warehouse, second, third, 90)
        for number, (at, count) in enumerate(sent.items()):
            messages = sql.SQL("""
                INSERT INTO edna_history ("messageId", direction, "sentOrReceivedAt")
                SELECT -number - {}, 'OUT', {} FROM generate_series(1, {}) AS number
            """)
            syncs.warehouse.connection.execute(messages.format(1000 * number, at, count))
        ((*_, missing),) = query_results(syncs.warehouse)[0]
    assert missing == 30


def test_a_range_that_was_never_read_is_found(syncs):
    end = END.replace(tzinfo=None)
    with syncs.warehouse.connection.transaction(force_rollback=True):
        add_window(syncs.warehouse, end + DAY, end + 2 * DAY, 0)
        never_read = query_results(syncs.warehouse)[1]
    assert never_read == [("edna_history", end, end + DAY, DAY)]


@pytest.mark.parametrize("doubt", [{"refused": True, "confirmed": False}, {"confirmed": False}])
def test_an_unconfirmed_window_is_listed_until_it_is_confirmed(syncs, doubt):
    first, second = (datetime(2030, 1, 1, hour) for hour in range(2))  # noqa: DTZ001 - as in the table
    with syncs.warehouse.connection.transaction(force_rollback=True):
        add_window(syncs.warehouse, first, second, 0, **doubt)
        ((stream, *window, _, _, _),) = query_results(syncs.warehouse)[2]
        add_window(syncs.warehouse, first, second, 0, run="later", readAt=second + timedelta(days=1))
        settled = query_results(syncs.warehouse)[2]
    assert (stream, *window) == ("edna_history", first, second)
    assert settled == []


def test_a_bookmark_in_the_future_is_found(syncs):
    hour = timedelta(hours=1)
    future = datetime.now(timezone.utc).replace(tzinfo=None) + hour
    with syncs.warehouse.connection.transaction(force_rollback=True):
        add_window(syncs.warehouse, END.replace(tzinfo=None), future, 0, readAt=future)
        ((stream, _, until, _),) = query_results(syncs.warehouse)[3]
    assert (stream, until) == ("edna_history", future)


def test_the_queries_work_with_lower_case_columns_and_time_zones(syncs):
    """As in the tables of pipelinewise-target-postgres."""
    expected = query_results(syncs.warehouse)
    database = syncs.warehouse.connection
    with database.transaction(force_rollback=True):
        for name in (*STREAMS, LEDGER):
            columns = database.execute(
                "SELECT column_name, data_type FROM information_schema.columns "
                "WHERE table_schema = current_schema() AND table_name = %s",
                (name,),
            ).fetchall()
            database.execute("DROP VIEW IF EXISTS pg_temp.message_history, pg_temp.message_windows")
            for column, type_ in columns:
                table, old = sql.Identifier(name), sql.Identifier(column)
                if type_.startswith("timestamp"):
                    change = "ALTER TABLE {} ALTER {} TYPE timestamptz USING {} AT TIME ZONE 'UTC'"
                    database.execute(sql.SQL(change).format(table, old, old))
                if column != column.lower():
                    rename = sql.SQL("ALTER TABLE {} RENAME {} TO {}")
                    database.execute(rename.format(table, old, sql.Identifier(column.lower())))
        assert [rows[:4] for rows in query_results(syncs.warehouse)[:4]] == expected[:4]
        assert [row[:2] for row in query_results(syncs.warehouse)[4]] == [row[:2] for row in expected[4]]
        assert query_results(syncs.warehouse)[5] == expected[5]


def test_a_refused_window_hides_no_missing_messages(syncs):
    """Its messages are in the warehouse, but were not counted by this run."""
    bounds = [datetime(2030, 1, 1, hour) for hour in range(3)]  # noqa: DTZ001 - as in the table
    with syncs.warehouse.connection.transaction(force_rollback=True):
        syncs.warehouse.connection.execute(
            sql.SQL("""
                INSERT INTO edna_history ("messageId", direction, "sentOrReceivedAt")
                SELECT -number, 'OUT', {} FROM generate_series(1, 50) AS number
            """).format(bounds[0] + timedelta(minutes=1))
        )
        add_window(syncs.warehouse, bounds[0], bounds[1], 0, refused=True, confirmed=False)
        add_window(syncs.warehouse, bounds[1], bounds[2], 20)
        ((*_, missing),) = query_results(syncs.warehouse)[0]
    assert missing == 20


def test_open_statuses_are_counted_by_age(syncs):
    open_ = {"ACCEPTED", "ENQUEUED", "SENT", "UNKNOWN", None}
    rows = query_results(syncs.warehouse)[5]
    for stream in STREAMS:
        counted = sum(sum(row[2:]) for row in rows if row[0] == stream)
        assert counted == sum(
            record["deliveryStatus"] in open_ and record["direction"] != "IN"
            for record in syncs.loaded[1][stream].values()
        )
    assert all(sum(row[2:-1]) == 0 for row in rows)  # all messages were sent in 2024


def test_the_ledger_table_counts_the_loaded_messages(syncs):
    query = sql.SQL("SELECT stream, sum(messages) FROM {} WHERE reason = 'new' GROUP BY stream")
    loaded = dict(syncs.warehouse.query(query.format(sql.Identifier(LEDGER))))
    for stream in STREAMS:
        assert 0 <= loaded[stream] - len(syncs.loaded[1][stream]) <= 1  # sent between the runs


def test_two_accounts_with_equal_identifiers_share_tables(syncs):
    """Two extractors, one of which inherits from the other, and one loader."""
    database, schema = syncs.warehouse, f"{syncs.warehouse.schema}_accounts"
    set_up_accounts(syncs.project.directory / "meltano.yml")
    try:
        syncs.project.meltano(
            "run", "--full-refresh", "tap-msghistory", "target-postgres",
            "tap-msghistory--second", "target-postgres",
            TAP_MSGHISTORY_END_DATE=iso(END), TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA=schema,
        )  # fmt: skip
        search_in(database, schema)
        for stream in STREAMS:
            query = sql.SQL("SELECT account, count(*) FROM {} GROUP BY 1 ORDER BY 1")
            messages = len(syncs.expected[1][stream])
            assert database.query(query.format(sql.Identifier(stream))) == [
                ("retail", messages),
                ("wholesale", messages),
            ]
        missing, never_read, in_doubt, in_future, read_to, _ = query_results(database)
        assert missing == never_read == in_doubt == in_future == []
        assert [stream for stream, *_ in read_to] == [
            f"{stream} of {account}" for stream in sorted(STREAMS) for account in ("retail", "wholesale")
        ]
    finally:
        search_in(database, database.schema)
        database.connection.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema))
        )


def set_up_accounts(project: Path) -> None:
    """Name the account of a project's extractor, and add a second extractor that inherits from it."""
    content = yaml.safe_load(project.read_text())
    (first,) = content["plugins"]["extractors"]
    first["config"] = {"account": "retail"}
    second = {"name": f"{first['name']}--second", "inherit_from": first["name"]}
    content["plugins"]["extractors"].append({**second, "config": {"account": "wholesale"}})
    project.write_text(yaml.safe_dump(content))


def search_in(database: Warehouse, schema: str) -> None:
    database.connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))
