"""A backfill in shards and the regular job that follows it read every message."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise

import pytest

from msghistory_sandbox.clock import Clock
from msghistory_sandbox.server import Sandbox
from tests.support import END, END_MS, ROOT, STREAMS, Message, config, iso, replication_key, sync, truth

EXAMPLE = ROOT / "docs" / "examples" / "dagster_backfill.py"
HANDOVER = END - timedelta(days=32)  # older than the oldest age
BOUNDS = [END - timedelta(days=days) for days in (90, 70, 51, 32)]


def shards(sandbox, **settings):
    return [
        config(sandbox, start_date=iso(start), end_date=iso(end), **settings)
        for start, end in pairwise(BOUNDS)
    ]


@pytest.mark.parametrize("stream", STREAMS)
def test_shards_in_any_order_and_the_regular_job_cover_everything(life_like, stream):
    records = []
    for shard in reversed(shards(life_like)):
        output = sync(shard)
        records += output.records(stream)
        assert output.bookmark(stream)["replication_key_value"] == shard["end_date"]
    records += sync(config(life_like, start_date=iso(HANDOVER))).records(stream)
    expected = truth(life_like, stream)
    assert {record["messageId"] for record in records} == {record["messageId"] for record in expected}
    # Only messages sent at the boundaries of shards may be read twice.
    bounds = {iso(bound) for bound in BOUNDS}
    twice = len(records) - len(expected)
    assert twice <= sum(record[replication_key(stream)] in bounds for record in expected)


def test_a_complete_shard_requests_nothing_again(life_like):
    shard = shards(life_like)[1]
    complete = sync(shard)
    before = len(life_like.journal.requests)
    assert sync(shard, state=complete.state).records("edna_history") == []
    assert len(life_like.journal.requests) == before


def test_the_regular_job_updates_statuses_of_messages_from_shards():
    sandbox = Sandbox.generate(messages=4_000, seed=5, end_ms=END_MS, clock=Clock(END_MS, frozen=True))
    with sandbox.serve():
        warehouse: dict[int, Message] = {}
        for shard in shards(sandbox):
            warehouse |= {record["messageId"]: record for record in sync(shard).records("edna_history")}
        first = sync(config(sandbox, start_date=iso(HANDOVER)))
        later = END + timedelta(days=31)
        sandbox.clock.advance(timedelta(days=31).total_seconds())
        second = sync(config(sandbox, start_date=iso(HANDOVER), end_date=iso(later)), state=first.state)
        for output in (first, second):
            warehouse |= {record["messageId"]: record for record in output.records("edna_history")}
        assert warehouse == {record["messageId"]: record for record in truth(sandbox, "edna_history")}


#: Writes its arguments and its environment to a file, and exits with `MELTANO_EXIT_CODE`.
MELTANO = """#!{python}
import json, os, sys
with open({ran!r}, "w") as ran:
    json.dump([sys.argv[1:], dict(os.environ)], ran)
sys.exit(int(os.environ.get("MELTANO_EXIT_CODE", "0")))
"""


@pytest.fixture
def example(monkeypatch, tmp_path):
    """The example, with an executable in place of Meltano."""
    pytest.importorskip("dagster", reason="needs the dependency group orchestrator")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "bin").mkdir()
    meltano = tmp_path / "bin" / "meltano"
    meltano.write_text(MELTANO.format(python=sys.executable, ran=str(tmp_path / "ran.json")))
    meltano.chmod(0o700)
    monkeypatch.setenv("PATH", f"{meltano.parent}{os.pathsep}{os.environ['PATH']}")
    spec = importlib.util.spec_from_file_location("dagster_backfill", EXAMPLE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("default")  # Dagster emits some
def test_a_failed_run_of_meltano_fails_the_shard(example, monkeypatch):
    import dagster  # noqa: PLC0415 - it takes a second, which the other tests save

    monkeypatch.setenv("MELTANO_EXIT_CODE", "1")
    with pytest.raises(subprocess.CalledProcessError):
        example.message_history(dagster.build_asset_context(partition_key="2024-02-01"))


@pytest.mark.filterwarnings("default")  # Dagster emits some
def test_the_example_gives_each_shard_dates_and_a_rate_share(example, tmp_path):
    import dagster  # noqa: PLC0415 - it takes a second, which the other tests save

    dagster.Definitions.validate_loadable(example.defs)
    assert len(example.MONTHS.get_partition_keys()) == 18
    done = dagster.materialize([example.message_history], partition_key="2024-02-01")
    assert done.success
    arguments, variables = json.loads((tmp_path / "ran.json").read_text())
    assert arguments == ["el", "--state-id=messages-2024-02-01", "tap-msghistory", "target-postgres"]
    shard = {name: value for name, value in variables.items() if value != os.environ.get(name)}
    assert shard == {
        "TAP_MSGHISTORY_START_DATE": "2024-02-01T00:00:00+00:00",
        "TAP_MSGHISTORY_END_DATE": "2024-03-01T00:00:00+00:00",
        "TAP_MSGHISTORY_PARTNER_GATEWAY_REQUESTS_PER_MINUTE": "500",
        "TAP_MSGHISTORY_PARTNER_GATEWAY_REQUESTS_PER_SECOND": "25",
    }
