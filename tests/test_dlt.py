"""The dlt source: the tap's rows in DuckDB and PostgreSQL, and state that moves with the load."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("dlt", reason="needs the extra dlt")
pytest.importorskip("duckdb", reason="needs the dependency group dlt")

pytest.importorskip("psycopg", reason="needs the dependency group pipeline")

import dlt
import psycopg
from dlt.common.runtime.signals import intercepted_signals
from dlt.pipeline.exceptions import PipelineStepFailed

from demo.postgres import Warehouse, network_url, server
from demo.report import completeness
from msghistory_sandbox.clock import Clock
from msghistory_sandbox.server import Sandbox
from tap_msghistory.dlt import message_history
from tap_msghistory.errors import TapError
from tap_msghistory.vendors import SOURCES
from tests.processes import environment
from tests.support import (
    END,
    END_MS,
    LEDGER,
    REJECTED,
    ROOT,
    STREAMS,
    config,
    iso,
    sync,
)
from tests.vendors import Vendor, edna_row, spread

EDNA, SMS = "edna_history", "partner_gateway_history_sms"
DAY = timedelta(days=1)
OBJECTS = ("extraFields", "message")
VOLATILE = {"runId", "seconds", "readAt", "rejectedAt"}


@pytest.fixture(autouse=True)
def dlt_directory(tmp_path, monkeypatch):
    """Keep dlt's files in `tmp_path`, and fail for each of its warnings."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def warnings(caplog) -> Iterator[Callable[[], list[str]]]:
    """A function that returns the warnings of dlt and of the source."""
    logger = logging.getLogger("dlt")
    logger.addHandler(caplog.handler)
    yield lambda: [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING]
    logger.removeHandler(caplog.handler)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with server() as dsn:
        yield network_url(dsn)


def duckdb_pipeline(directory: Path, name: str = "messages", **options: Any):
    destination = dlt.destinations.duckdb(str(directory / "warehouse.duckdb"))
    return dlt.pipeline(
        name,
        destination=destination,
        dataset_name="msghistory",
        pipelines_dir=str(directory / "pipelines"),
        **options,
    )


def rows(pipeline: Any, stream: str) -> list[dict[str, Any]]:
    """Return the rows of a table as the tap emits them, in the order of their keys."""
    schemas = {source.name: source.schema for source in SOURCES}
    naming = pipeline.default_schema.naming
    properties = schemas[stream]["properties"] if stream in schemas else AUXILIARY[stream]
    names = {naming.normalize_identifier(name): name for name in properties}
    columns, rows_ = contents(pipeline, stream)
    found = [
        {names[name]: as_in_a_record(value) for name, value in zip(columns, row, strict=True)}
        for row in rows_
    ]
    return in_order([record | decoded(record) for record in found])


def contents(pipeline: Any, table: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the names of a table's columns, and its rows."""
    query = f"SELECT * FROM {table}"  # noqa: S608 - the name of a stream
    with pipeline.sql_client() as client, client.execute_query(query) as cursor:
        return [column[0] for column in cursor.description], cursor.fetchall()


def property_names(schema: str) -> list[str]:
    return [*json.loads((ROOT / "schemas" / f"{schema}.json").read_text())["properties"]]


AUXILIARY = {REJECTED: property_names("rejected_message"), LEDGER: property_names("sync_window")}


def decoded(record: dict[str, Any]) -> dict[str, Any]:
    return {name: json.loads(record[name]) for name in OBJECTS if record.get(name)}


def as_in_a_record(value: Any) -> Any:
    if isinstance(value, datetime):
        assert value.tzinfo is not None
        return iso(value)
    return float(value) if isinstance(value, Decimal) else value


def in_order(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(
        ({name: value for name, value in record.items() if name not in VOLATILE} for record in records),
        key=lambda record: json.dumps(record, sort_keys=True),
    )


def bookmarks(pipeline: Any) -> dict[str, Any]:
    """Return the bookmarks in dlt's state, by stream."""
    found: dict[str, Any] = pipeline.state.get("sources", {}).get("msghistory", {}).get("resources", {})
    return found


def generated() -> Sandbox:
    """Return a sandbox with unknown fields, whose clock is a day before `END`."""
    clock = Clock(END_MS - round(DAY.total_seconds() * 1000), frozen=True)
    sandbox = Sandbox.generate(messages=1_200, days=40, end_ms=END_MS, clock=clock, unknown_rate=0.05)
    sandbox.gateway_options.requests_per_minute = sandbox.gateway_options.requests_per_second = None
    return sandbox


class Tap:
    """Successive runs of the tap, and the tables that a target would have."""

    def __init__(self) -> None:
        self.state: dict[str, Any] | None = None
        self.tables: dict[str, dict[Any, dict[str, Any]]] = {}

    def run(self, settings: dict[str, Any]) -> None:
        output = sync(settings, state=self.state)
        self.state = output.state
        for stream in (*STREAMS, REJECTED):
            records = {(row.get("messageId"), row.get("direction")): row for row in output.records(stream)}
            self.tables[stream] = self.tables.get(stream, {}) | records
        ledger = {(row["runId"], row["stream"], row["windowFrom"]): row for row in output.records(LEDGER)}
        self.tables[LEDGER] = self.tables.get(LEDGER, {}) | ledger

    def rows(self, stream: str) -> list[dict[str, Any]]:
        return in_order([*self.tables[stream].values()])

    @property
    def bookmarks(self) -> dict[str, Any]:
        assert self.state is not None
        return {stream: bookmark for stream, bookmark in self.state["bookmarks"].items() if bookmark}


def check_rows(pipeline: Any, tap: Tap) -> None:
    for stream in (*STREAMS, LEDGER):
        assert rows(pipeline, stream) == tap.rows(stream)
    assert bookmarks(pipeline) == tap.bookmarks


def check_two_runs(pipeline: Any) -> None:
    """Run twice, a day apart, and compare rows and bookmarks with those of the tap."""
    sandbox, tap = generated(), Tap()
    with sandbox.serve():
        for end in (END - DAY, END):
            settings = config(sandbox, end_date=iso(end))
            pipeline.run(message_history(**settings))
            tap.run(settings)
            check_rows(pipeline, tap)
            sandbox.clock.advance(DAY.total_seconds())


def columns(pipeline: Any, table: str) -> dict[str, str]:
    query = (
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = %s AND table_name = %s"
    )
    with pipeline.sql_client() as client:
        found = client.execute_sql(query, pipeline.dataset_name, table)
    return {name: type_.lower() for name, type_ in found}


def test_duckdb_has_the_rows_of_the_tap(tmp_path, warnings):
    pipeline = duckdb_pipeline(tmp_path)
    check_two_runs(pipeline)
    assert not warnings()
    types = columns(pipeline, EDNA)
    assert types["message_id"] == types["segments"] == "bigint"
    assert types["sent_or_received_at"] == types["delivery_status_at"] == "timestamp with time zone"
    assert types["extra_fields"] == types["content"] == "varchar"
    assert columns(pipeline, LEDGER)["confirmed"] == "boolean"


def test_postgresql_has_the_rows_of_the_tap(tmp_path, postgres, warnings):
    pipeline = dlt.pipeline(
        "messages",
        destination=dlt.destinations.postgres(postgres),
        dataset_name="two_runs",
        pipelines_dir=str(tmp_path / "pipelines"),
    )
    check_two_runs(pipeline)
    assert not warnings()
    types = columns(pipeline, SMS)
    assert types["send_date"] == types["delivery_date"] == "timestamp with time zone"
    assert types["cost"] == "double precision"
    assert types["extra_fields"] == "character varying"
    loads: Any = pipeline.last_trace
    jobs = loads.last_load_info.load_packages[0].jobs["completed_jobs"]
    loaded = {job.job_file_info.file_format for job in jobs if job.job_file_info.table_name == SMS}
    assert loaded == {"parquet", "sql"}  # the copy and the merge
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("SET search_path TO two_runs")
        queries = completeness(Warehouse(postgres, "two_runs", connection))
        *problems, read_to, _ = (connection.execute(query).fetchall() for _, query in queries)
    assert problems == [[], [], [], []]
    assert {stream for stream, *_ in read_to} == {*STREAMS}


SCRIPT = """
import json, os, signal, sys
import dlt
from tap_msghistory.dlt import message_history

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

directory, settings, when = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
pipeline = dlt.pipeline(
    "messages",
    destination=dlt.destinations.duckdb(f"{directory}/warehouse.duckdb"),
    dataset_name="msghistory",
    pipelines_dir=f"{directory}/pipelines",
)
source = message_history(**settings)
if when == "during":
    source.partner_gateway_history_rcs.add_map(kill)
pipeline.extract(source)
kill()
"""


def run_killed(directory: Path, settings: dict[str, Any], when: str) -> None:
    """Run a pipeline in a process that is killed during or after the extraction."""
    script = subprocess.run(
        [sys.executable, "-c", SCRIPT, directory, json.dumps(settings), when],
        env=environment(PYTHONPATH=str(ROOT)),
        check=False,
        capture_output=True,
        text=True,
    )
    assert script.returncode == -signal.SIGKILL, script.stderr


@pytest.mark.parametrize("when", ["during", "after"])
def test_no_row_is_lost_if_the_first_run_is_killed(tmp_path, when):
    sandbox, tap = generated(), Tap()
    with sandbox.serve():
        settings = config(sandbox, end_date=iso(END - DAY))
        run_killed(tmp_path, settings, when)
        pipeline = duckdb_pipeline(tmp_path)
        pipeline.run(message_history(**settings))
        tap.run(settings)
        check_rows(pipeline, tap)


@pytest.mark.filterwarnings(
    "ignore:The 'warn' method is deprecated"
)  # dlt uses it to report the pending load
@pytest.mark.parametrize("when", ["during", "after"])
def test_no_row_is_lost_if_a_later_run_is_killed(tmp_path, when):
    """What was extracted is loaded by the next run; what was not is read again."""
    sandbox, tap = generated(), Tap()
    with sandbox.serve():
        settings = config(sandbox, end_date=iso(END - DAY))
        duckdb_pipeline(tmp_path).run(message_history(**settings))
        tap.run(settings)
        sandbox.clock.advance(DAY.total_seconds())
        settings = config(sandbox, end_date=iso(END))
        run_killed(tmp_path, settings, when)
        pipeline, rows_read = duckdb_pipeline(tmp_path), sandbox.journal.rows
        pipeline.run(message_history(**settings))
        assert (sandbox.journal.rows == rows_read) == (when == "after")
        tap.run(settings)
        check_rows(pipeline, tap)


def test_state_is_restored_from_the_destination(tmp_path):
    sandbox, tap = generated(), Tap()
    with sandbox.serve():
        for end in (END - DAY, END):
            settings = config(sandbox, end_date=iso(end))
            if (tmp_path / "pipelines").exists():
                (tmp_path / "pipelines").rename(tmp_path / "lost")
            pipeline = duckdb_pipeline(tmp_path)
            pipeline.run(message_history(**settings))
            tap.run(settings)
            sandbox.clock.advance(DAY.total_seconds())
        check_rows(pipeline, tap)


def test_a_failing_stream_loads_nothing_and_moves_no_bookmark(tmp_path, life_like):
    pipeline = duckdb_pipeline(tmp_path)
    with pytest.raises(PipelineStepFailed, match="partner_gateway_api_key") as failure:
        pipeline.run(message_history(**config(life_like, partner_gateway_api_key="K9XQ7")))
    assert "K9XQ7" not in str(failure.value)
    assert not bookmarks(pipeline)
    assert not pipeline.list_normalized_load_packages()
    pipeline.run(message_history(**config(life_like)).with_resources(EDNA))
    assert len(rows(pipeline, EDNA)) == 7_200


def test_a_single_history_is_loaded_with_its_ledger(tmp_path, life_like):
    pipeline = duckdb_pipeline(tmp_path)
    pipeline.run(message_history(**config(life_like)).with_resources(SMS))
    assert {row["stream"] for row in rows(pipeline, LEDGER)} == {SMS}
    assert [*bookmarks(pipeline)] == [SMS]


def test_the_ledger_can_be_deselected(tmp_path, life_like):
    pipeline = duckdb_pipeline(tmp_path)
    source = message_history(**config(life_like))
    source.sync_windows.selected = False
    pipeline.run(source.with_resources(SMS))
    assert pipeline.default_schema.data_table_names() == [SMS]


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    """Ten messages of edna, of which two are invalid."""
    messages = [edna_row(number, sent) for number, sent in enumerate(spread(10, DAY))]
    messages[3]["direction"] = messages[7]["direction"] = None
    with Vendor(messages).serve() as served:
        yield served


def test_rejected_messages_are_loaded_with_their_reason(tmp_path, vendor, warnings):
    pipeline = duckdb_pipeline(tmp_path)
    pipeline.run(message_history(**vendor.settings()))
    rejected = rows(pipeline, REJECTED)
    assert [row["message"]["messageId"] for row in rejected] == [3, 7]
    assert {(row["stream"], row["reason"]) for row in rejected} == {(EDNA, "no readable direction")}
    assert warnings() == ["2 messages of edna_history are invalid; they are in the stream rejected_messages"]


def test_discarding_rejected_messages_is_reported(tmp_path, vendor, warnings):
    source = message_history(**vendor.settings())
    source.rejected_messages.selected = False
    duckdb_pipeline(tmp_path).run(source)
    assert "they were DISCARDED" in warnings()[0]


def test_more_than_max_rejected_messages_fail_the_load(tmp_path, vendor):
    pipeline = duckdb_pipeline(tmp_path)
    message = r"2 messages are invalid, which exceeds max_rejected \(1\); nothing was loaded"
    with pytest.raises(PipelineStepFailed, match=message):
        pipeline.run(message_history(**vendor.settings(max_rejected=1)))
    assert not bookmarks(pipeline)


def test_appending_keeps_each_version_of_a_message(tmp_path):
    pipeline, sandbox, versions = duckdb_pipeline(tmp_path), generated(), 0
    with sandbox.serve():
        state = None
        for end in (END - DAY, END):
            settings = config(sandbox, end_date=iso(end))
            output = sync(settings, state=state)
            state, versions = output.state, versions + len(output.records(EDNA))
            source = message_history(**settings).with_resources(EDNA)
            pipeline.run(source, write_disposition="append")
            sandbox.clock.advance(DAY.total_seconds())
    assert len(rows(pipeline, EDNA)) == versions > len({row["messageId"] for row in rows(pipeline, EDNA)})


def test_replacing_reads_from_start_date_again(tmp_path, life_like):
    pipeline = duckdb_pipeline(tmp_path)
    for _ in range(2):
        source = message_history(**config(life_like)).with_resources(EDNA)
        pipeline.run(source, write_disposition="replace")
        assert len(rows(pipeline, EDNA)) == 7_200


def test_several_accounts_share_tables_but_not_bookmarks(tmp_path, vendor):
    pipeline = duckdb_pipeline(tmp_path)
    ends = {"north": iso(END), "south": iso(END - timedelta(hours=12))}
    sources = [message_history(**vendor.settings(account=name, end_date=end)) for name, end in ends.items()]
    pipeline.run(sources)
    columns, loaded = contents(pipeline, EDNA)
    assert Counter(row[columns.index("account")] for row in loaded) == {"north": 8, "south": 4}
    accounts = bookmarks(pipeline)[EDNA]["accounts"]
    assert {name: state["replication_key_value"] for name, state in accounts.items()} == ends


@pytest.mark.parametrize(("first", "second"), [("north", None), (None, "north")])
def test_adding_or_removing_the_account_is_refused(tmp_path, vendor, first, second):
    pipeline = duckdb_pipeline(tmp_path)
    pipeline.run(message_history(**vendor.settings(account=first)))
    before = len(vendor.requests)
    with pytest.raises(PipelineStepFailed, match=r"loaded with(out)? the setting account"):
        pipeline.run(message_history(**vendor.settings(account=second)))
    assert len(vendor.requests) == before
    pipeline.run(message_history(**vendor.settings(account=first)))


def test_arguments_may_be_dates(tmp_path, vendor):
    pipeline = duckdb_pipeline(tmp_path)
    start, end = (END - timedelta(days=1)).date(), END - timedelta(hours=12)
    pipeline.run(message_history(**vendor.settings(start_date=start, end_date=end)))
    assert bookmarks(pipeline)[EDNA]["replication_key_value"] == iso(end)


def test_a_reread_moves_no_bookmark(tmp_path, vendor):
    pipeline = duckdb_pipeline(tmp_path)
    pipeline.run(message_history(**vendor.settings()))
    before, requests = bookmarks(pipeline), len(vendor.requests)
    ranges = [{"stream": EDNA, "from": iso(END - DAY), "to": iso(END)}]
    pipeline.run(message_history(**vendor.settings(reread=ranges)))
    assert bookmarks(pipeline) == before
    assert len(vendor.requests) > requests


def test_the_source_yields_arrow_tables_without_a_load(tmp_path, vendor):
    pipeline = duckdb_pipeline(tmp_path)
    source = message_history(**vendor.settings())
    (table,) = message_history(**vendor.settings()).edna_history
    assert table.column("messageId").to_pylist() == [0, 1, 2, 4, 5, 6, 8, 9]
    assert not table.schema.field("sentOrReceivedAt").nullable
    assert sum(table.num_rows for table in source) == 8 + 2 + 1
    assert not bookmarks(pipeline)


@pytest.mark.parametrize("interception", [nullcontext, intercepted_signals])
def test_an_interrupt_stops_reading(tmp_path, vendor, interception):
    """By default and if dlt postpones signals, as its launcher does. No response arrives in either case."""
    pipeline, released = duckdb_pipeline(tmp_path), threading.Event()

    def interrupt(_request: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        released.wait(60)

    vendor.before_request = interrupt
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with interception(), pytest.raises(PipelineStepFailed) as failure:
            pipeline.run(message_history(**vendor.settings()))
    finally:
        signal.signal(signal.SIGINT, previous)
        released.set()
    assert isinstance(failure.value.exception, KeyboardInterrupt)
    assert not bookmarks(pipeline)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({}, "Setting start_date is missing"),
        ({"start_date": "2024-01-01"}, "Setting edna_api_key is missing"),
        ({"start_date": "tomorrow", "page_size": 0}, "page_size must be an integer from 1 to 1000"),
        ({"strat_date": "2024-01-01"}, "Setting strat_date is unknown; did you mean start_date?"),
        ({"stream_maps": {"*": {}}}, r"Setting stream_maps has no effect in dlt. Use add_map\(\)"),
        ({"objects_as_json": True}, "Setting objects_as_json has no effect in dlt"),
    ],
)
def test_invalid_settings_are_reported_as_by_the_tap(settings, error):
    with pytest.raises(TapError, match=error):
        message_history(**settings)


def test_settings_without_effect_may_be_off(vendor):
    assert message_history(**vendor.settings(objects_as_json=False, stream_maps=None))


def test_settings_come_from_arguments_before_environment_variables(tmp_path, monkeypatch, life_like):
    for name, value in config(life_like).items():
        monkeypatch.setenv(f"SOURCES__MSGHISTORY__{name.upper()}", str(value))
    monkeypatch.setenv("SOURCES__MSGHISTORY__EDNA_CHANNEL_TYPES", '["VIBER"]')
    monkeypatch.setenv("SOURCES__MSGHISTORY__PARTNER_GATEWAY_EXPORT", "false")
    pipeline = duckdb_pipeline(tmp_path)
    pipeline.run(message_history(edna_channel_types=["SMS"]))
    assert {row["channelType"] for row in rows(pipeline, EDNA)} == {"SMS"}
    assert len(rows(pipeline, SMS)) > 0


CONFIGURED = """
import dlt
from tap_msghistory.dlt import message_history

pipeline = dlt.pipeline("messages", destination="duckdb", pipelines_dir="pipelines")
source = message_history()
print(source)
pipeline.run(source.with_resources("edna_history"))
print(pipeline.last_trace)
pipeline.run(source)
"""


def test_credentials_and_addresses_are_in_no_file_or_output(sandbox, tmp_path):
    """The second run fails, because the gateway refuses the key."""
    key, phone = "K9XQ7", "35000777333"
    sandbox.edna_options.key = key
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(
        f"""
        [sources.msghistory]
        start_date = 2024-10-01
        end_date = "{iso(END)}"
        edna_base_url = "{sandbox.edna_base_url}"
        edna_subscriber_type = "PHONE"
        partner_gateway_base_url = "{sandbox.gateway_base_url}"
        """
    )
    (tmp_path / ".dlt" / "secrets.toml").write_text(
        f"""
        [sources.msghistory]
        edna_api_key = "{key}"
        edna_subscriber_address = "{phone}"
        partner_gateway_username = "U9XQ7"
        partner_gateway_password = "P9XQ7"
        """
    )
    script = subprocess.run(
        [sys.executable, "-c", CONFIGURED],
        env=environment(PYTHONPATH=str(ROOT)),
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert "partner gateway: status 401" in script.stderr
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "secrets.toml"]
    assert {"trace.pickle", "state.json"} <= {path.name for path in written}
    for text in (
        script.stdout,
        script.stderr,
        *(path.read_bytes().decode(errors="replace") for path in written),
    ):
        for secret in (key, phone, "U9XQ7", "P9XQ7"):
            assert secret not in text


def test_the_command_line_shows_state_and_tables(tmp_path, life_like):
    pipeline = duckdb_pipeline(tmp_path)
    pipeline.run(message_history(**config(life_like)))
    command = [sys.executable, "-m", "dlt", "pipeline", "--pipelines-dir", str(tmp_path / "pipelines")]
    shown = subprocess.run([*command, "messages", "info"], check=False, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stderr
    assert EDNA in shown.stdout


def test_the_tap_does_not_import_dlt():
    program = "import sys, tap_msghistory.tap; print({'dlt', 'pyarrow'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert printed.stdout.strip() == "set()"
