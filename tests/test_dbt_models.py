"""The dbt package: two builds, a day apart, in PostgreSQL and DuckDB, compared with the loaded messages."""

from __future__ import annotations

import hashlib
import json
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

REASON = "needs the environment .clients/dbt, which make creates"
pytest.importorskip("altair", reason="needs the extra report")
dbt_runs = pytest.importorskip("tests.dbt_runs", reason="needs the dependency groups dlt and pipeline")
if not dbt_runs.DBT.exists():
    pytest.skip(REASON, allow_module_level=True)

from demo.postgres import warehouse  # noqa: E402
from msghistory_report.database import opened  # noqa: E402
from msghistory_report.report import report  # noqa: E402
from msghistory_sandbox.clock import Clock  # noqa: E402
from msghistory_sandbox.history import Message  # noqa: E402
from msghistory_sandbox.server import Sandbox  # noqa: E402
from tests.dbt_runs import DuckDBModels, Models, PostgresModels  # noqa: E402
from tests.support import END, END_MS, GATEWAY_STREAMS, STREAMS, config, iso, replication_key, truth  # noqa: E402

DATABASES = ("postgres", "duckdb")
DAY = timedelta(days=1)
DELIVERED = {"DELIVERED", "READ"}
FAILED = {"UNDELIVERED", "INVALID", "ERROR", "EXPIRED"}
CANONICAL = {
    ("edna_history", "ACCEPTED"): "accepted",
    ("edna_history", "ENQUEUED"): "accepted",
    ("edna_history", "SENT"): "sent",
    ("edna_history", "DELIVERED"): "delivered",
    ("edna_history", "READ"): "read",
    ("edna_history", "UNDELIVERED"): "undelivered",
    ("edna_history", "INVALID"): "invalid",
    **{
        (stream, status): canonical
        for stream in GATEWAY_STREAMS.values()
        for status, canonical in {
            "SENT": "sent",
            "RECEIVED": "sent",
            "DELIVERED": "delivered",
            "ERROR": "undelivered",
            "EXPIRED": "expired",
            "UNKNOWN": "unknown",
        }.items()
    },
}
MARTS = (
    "messages",
    "daily_deliverability",
    "broadcast_performance",
    "recipient_summary",
    "sync_health",
    "daily_completeness",
    "status_changes",
)

Record = dict[str, Any]
Rows = list[Record]


@dataclass
class Builds:
    """The records that were loaded before each of two builds, and the rows of the marts after it."""

    models: dict[str, Models]
    records: list[dict[str, Rows]]
    marts: list[dict[str, dict[str, Rows]]]
    """By build, database and mart."""


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builds]:
    clock = Clock(END_MS - round(DAY.total_seconds() * 1000), frozen=True)
    sandbox = Sandbox.generate(messages=1_500, days=40, end_ms=END_MS, clock=clock, unknown_rate=0.05)
    with sandbox.serve(), warehouse() as database:
        postgres = PostgresModels.of(database, tmp_path_factory.mktemp("postgres"))
        duckdb = DuckDBModels.of(tmp_path_factory.mktemp("duckdb"))
        found = Builds({"postgres": postgres, "duckdb": duckdb}, [], [])
        for models in found.models.values():
            models.variables = {"msghistory_status_history": True, "msghistory_ledger_lookback_hours": 0}
        state: dict[str, Any] | None = None
        loaded: dict[tuple[str, Any], Record] = {}
        for end in (END - DAY, END):
            settings = config(sandbox, end_date=iso(end))
            output = postgres.load(settings, state)
            duckdb.load(settings)
            state = output.state
            for stream in STREAMS:
                loaded |= {(stream, record["messageId"]): record for record in output.records(stream)}
            found.records.append(
                {stream: [loaded[key] for key in loaded if key[0] == stream] for stream in STREAMS}
            )
            if len(found.records) == 1:
                assert all(
                    sorted(found.records[0][stream], key=str) == sorted(truth(sandbox, stream), key=str)
                    for stream in STREAMS
                )
            marts = {}
            for name, models in found.models.items():
                models.build()
                marts[name] = {mart: models.mart(mart) for mart in MARTS}
            found.marts.append(marts)
            clock.advance(DAY.total_seconds())
        yield found


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def is_outgoing(record: Record) -> bool:
    return record["direction"] not in {"IN", "INBOUND"}


def sent(stream: str, record: Record) -> datetime:
    return datetime.fromisoformat(record[replication_key(stream)].replace("Z", "")).replace(tzinfo=None)


def seconds_to_delivery(stream: str, record: Record) -> float | None:
    if record["deliveryStatus"] != "DELIVERED":
        return None
    at = record["deliveryStatusAt" if stream == "edna_history" else "deliveryDate"]
    moment = datetime.fromisoformat(at.replace("Z", ""))
    return (moment - sent(stream, record)).total_seconds()


@pytest.mark.parametrize("build", [0, 1])
def test_each_message_has_its_canonical_status(builds, database, build):
    expected = Counter(
        (
            stream,
            CANONICAL[stream, record["deliveryStatus"]],
            "outgoing" if is_outgoing(record) else "incoming",
            sent(stream, record),
        )
        for stream, records in builds.records[build].items()
        for record in records
    )
    rows = builds.marts[build][database]["messages"]
    found = Counter((row["stream"], row["status"], row["direction"], row["sent_at"]) for row in rows)
    assert found == expected


@pytest.mark.parametrize("build", [0, 1])
def test_figures_of_a_day_agree_with_its_messages(builds, database, build):
    days: dict[tuple[Any, ...], Rows] = defaultdict(list)
    for stream, records in builds.records[build].items():
        for record in filter(is_outgoing, records):
            is_edna = stream == "edna_history"
            sender = record["subjectName" if is_edna else "sender"] or ""
            channel = record["channelType" if is_edna else "channel"]
            days[sent(stream, record).date(), channel, sender, is_edna].append({**record, "stream": stream})
    rows = {
        (row["day"], row["channel"], row["sender"], row["vendor"] == "edna"): row
        for row in builds.marts[build][database]["daily_deliverability"]
    }
    assert rows.keys() == days.keys()
    for key, records in days.items():
        row, statuses = rows[key], Counter(record["deliveryStatus"] for record in records)
        delivered = sum(statuses[status] for status in DELIVERED)
        failed = sum(statuses[status] for status in FAILED)
        assert (row["sent"], row["delivered"], row["read"], row["failed"], row["open"]) == (
            len(records), delivered, statuses["READ"], failed, len(records) - delivered - failed,
        )  # fmt: skip
        assert row["delivery_rate"] == (
            pytest.approx(delivered / (delivered + failed)) if delivered + failed else None
        )
        seconds = [seconds_to_delivery(record["stream"], record) for record in records]
        known = [duration for duration in seconds if duration is not None]
        median = pytest.approx(statistics.median(known)) if known else None
        assert row["median_seconds_to_delivery"] == median
        if len(known) > 1:
            percentile = statistics.quantiles(known, n=20, method="inclusive")[-1]
            assert row["p95_seconds_to_delivery"] == pytest.approx(percentile)
        costs = [record["cost"] for record in records if record.get("cost") is not None]
        assert (row["cost"] is None) == (not costs)
        assert float(row["cost"] or 0) == pytest.approx(sum(costs))


def test_a_late_status_updates_its_day_and_no_other(builds, database):
    before, after = (
        {
            (row["day"], row["vendor"], row["channel"], row["sender"]): row
            for row in build[database]["daily_deliverability"]
        }
        for build in builds.marts
    )
    figures = itemgetter("sent", "delivered", "read", "failed", "open")
    changed = {key[0] for key in before if figures(before[key]) != figures(after[key])}
    rebuilt = {key[0] for key in before if before[key]["built_at"] != after[key]["built_at"]}
    last = (END - DAY).date()
    assert changed - {last}
    assert changed <= rebuilt < {key[0] for key in before}
    # Of each age in revisit_after, one day of messages, on at most two dates, and the new ones.
    assert len(rebuilt) <= 2 * 5 + 2


def test_a_build_processes_only_messages_read_since(builds, database):
    first, second = (
        {row["message_key"]: row["built_at"] for row in build[database]["messages"]} for build in builds.marts
    )
    unchanged = [key for key, built_at in first.items() if second[key] == built_at]
    assert len(unchanged) > len(second) / 2
    assert len(second) > len(first)


def test_status_changes_are_those_that_the_second_sync_saw(builds, database):
    before, after = (
        {
            (stream, record["messageId"]): CANONICAL[stream, record["deliveryStatus"]]
            for stream, records in loaded.items()
            for record in filter(is_outgoing, records)
        }
        for loaded in builds.records
    )
    expected = Counter((before[key], status) for key, status in after.items() if key in before)
    expected = Counter({change: count for change, count in expected.items() if change[0] != change[1]})
    assert builds.marts[0][database]["status_changes"] == []
    rows = builds.marts[1][database]["status_changes"]
    assert Counter((row["from_status"], row["to_status"]) for row in rows) == expected
    assert expected


def test_a_broadcast_has_the_outcomes_of_its_messages(builds, database):
    broadcasts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for record in builds.records[1]["edna_history"]:
        if is_outgoing(record) and record["broadcastId"] is not None:
            broadcasts[str(record["broadcastId"]), record["channelType"]].append(record["deliveryStatus"])
    rows = {
        (row["broadcast_id"], row["channel"]): row
        for row in builds.marts[1][database]["broadcast_performance"]
    }
    assert rows.keys() == broadcasts.keys()
    for key, statuses in broadcasts.items():
        delivered = sum(status in DELIVERED for status in statuses)
        assert rows[key]["sent"] == len(statuses)
        assert rows[key]["delivered"] == delivered
        assert rows[key]["read_rate"] == (
            pytest.approx(statuses.count("READ") / delivered) if delivered else None
        )


def test_a_recipient_has_the_failures_since_the_last_delivery(builds, database):
    recipients: dict[tuple[str, str, str], list[tuple[datetime, str]]] = defaultdict(list)
    for stream, records in builds.records[1].items():
        is_edna = stream == "edna_history"
        for record in filter(is_outgoing, records):
            address = record["address" if is_edna else "destination"]
            channel = record["channelType" if is_edna else "channel"]
            hashed = hashlib.sha256(address.encode()).hexdigest()
            recipients["edna" if is_edna else "partner_gateway", channel, hashed].append(
                (sent(stream, record), record["deliveryStatus"])
            )
    rows = {
        (row["vendor"], row["channel"], row["address_hash"]): row
        for row in builds.marts[1][database]["recipient_summary"]
    }
    assert rows.keys() == recipients.keys()
    for key, messages in recipients.items():
        delivered = [at for at, status in messages if status in DELIVERED]
        failed = [at for at, status in messages if status in FAILED]
        failures = sum(not delivered or at > max(delivered) for at in failed)
        assert rows[key]["messages"] == len(messages)
        assert rows[key]["consecutive_failures"] == failures
        assert rows[key]["stop_sending"] == (failures >= 3)


def test_the_ledger_agrees_with_the_messages_of_each_day(builds, database):
    rows = builds.marts[1][database]["daily_completeness"]
    assert {row["missing"] for row in rows} == {0}
    expected = Counter(
        (stream, sent(stream, record).date())
        for stream, records in builds.records[1].items()
        for record in records
    )
    found = {(row["stream"], row["day"]): row["messages_in_warehouse"] for row in rows}
    assert {key: count for key, count in found.items() if count} == expected


def test_the_health_of_syncs_adds_up_the_ledger(builds, database):
    rows = builds.marts[1][database]["sync_health"]
    assert {row["stream"] for row in rows} == {*STREAMS}
    assert sum(row["revisited_messages"] for row in rows) > 0
    assert {row["gaps"] for row in rows} == {0}
    assert max(row["read_to"] for row in rows) == END.replace(tzinfo=None)


def test_no_address_and_no_text_reaches_a_mart(builds, database):
    addresses = {record["address"] for record in builds.records[1]["edna_history"]}
    cells = {str(value) for row in builds.marts[1][database]["messages"] for value in row.values()}
    assert addresses
    assert not addresses & cells


def test_both_databases_give_the_same_report(builds):
    postgres, duckdb = builds.models["postgres"], builds.models["duckdb"]
    pages = []
    for dsn, schema in (
        (postgres.warehouse.dsn, postgres.schema),
        (f"duckdb:///{duckdb.file}", duckdb.schema),
    ):
        with opened(dsn, schema) as marts:
            page = report(marts, days=90)
        assert page.count("<svg") == 8
        # Without times, and without drawings, whose coordinates may differ by rounding.
        varying = r"<svg.*?</svg>|Last sync</dt>.*?</dd>|Made \S+ \S+"
        pages.append(re.sub(varying, "", page, flags=re.DOTALL))
    assert pages[0] == pages[1]


def test_lost_rows_fail_the_tests_of_the_package(builds):
    models = builds.models["duckdb"]
    models.rows(
        "DELETE FROM msghistory.edna_history WHERE message_id IN ("
        "SELECT message_id FROM msghistory.edna_history ORDER BY sent_or_received_at LIMIT 3)"
    )
    finished = models.dbt("build", "--select", "daily_completeness", "test_type:singular")
    assert finished.returncode == 1
    results = {
        name: result
        for result in ("FAIL", "WARN")
        for name in ("assert_ledger_is_complete", "assert_no_day_regresses", "warn_about_deleted_messages")
        if re.search(rf"{result} \d+ {name}", finished.stdout)
    }
    assert results == {"assert_ledger_is_complete": "FAIL", "warn_about_deleted_messages": "WARN"}
    assert sum(row["missing"] for row in models.mart("daily_completeness")) == 3


def test_an_empty_warehouse_one_vendor_and_two_accounts_build(tmp_path):
    clock = Clock(END_MS, frozen=True)
    models = DuckDBModels.of(tmp_path)
    assert "warn_about_missing_tables" in models.dbt("build").stdout
    with Sandbox(clock=clock).serve() as sandbox:
        sandbox.gateway["SMS"].add(Message(id="same", sent_ms=END_MS - 60_000, channel="SMS"))
        for account in ("retail", "bank"):
            models.load(config(sandbox, edna_api_key=None, account=account), account)
    models.build()
    rows = models.mart("messages")
    assert {(row["account"], row["message_id"]) for row in rows} == {("retail", "same"), ("bank", "same")}
    assert {row["account"] for row in models.mart("daily_deliverability")} == {"retail", "bank"}
    # A shard adds a window that was read before the last one, with the fate of a message of an earlier build.
    models.rows("UPDATE msghistory.partner_gateway_history_sms SET delivery_status = 'EXPIRED'")
    models.rows(
        "INSERT INTO msghistory.sync_windows BY NAME SELECT * REPLACE ('shard' AS run_id, "
        "read_at - INTERVAL '3' HOUR AS read_at) FROM msghistory.sync_windows WHERE messages > 0"
    )
    models.variables = {"msghistory_ledger_lookback_hours": 0}
    models.build()
    assert {row["status"] for row in models.mart("messages")} == {"expired"}
    documented = models.dbt("docs", "generate", "--static")
    assert documented.returncode == 0, documented.stdout
    check_documentation(tmp_path / "target")
    freshness = models.dbt("source", "freshness")
    assert freshness.returncode == 0, freshness.stdout


def check_documentation(target: Path) -> None:
    """Every column that a mart has is described, and every described column exists."""
    manifest = json.loads((target / "manifest.json").read_text())
    catalog = json.loads((target / "catalog.json").read_text())
    marts = {key: node for key, node in manifest["nodes"].items() if node["path"].startswith("marts/")}
    assert len(marts) == 6  # without status_changes, which is not enabled here
    for key, node in marts.items():
        assert node["description"]
        described = {name for name, column in node["columns"].items() if column["description"]}
        assert described == {*catalog["nodes"][key]["columns"]}
