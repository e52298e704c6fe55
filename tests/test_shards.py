"""Shards that Meltano runs concurrently, as in docs/backfills.md, do not affect each other."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from msghistory_sandbox.clock import Clock
from msghistory_sandbox.server import Sandbox
from tests.processes import COMMAND, environment
from tests.support import END, END_MS, iso

pytestmark = pytest.mark.pipeline
MELTANO = Path(sys.executable).with_name("meltano")
ROUNDS = 10 if os.environ.get("HYPOTHESIS_PROFILE") == "nightly" else 3
#: Appends RECORD lines to a file, and prints states like a target.
LOADER = """#!{python}
import json, os, sys
with open(os.environ["LINES"], "a") as lines:
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "RECORD" and message["stream"] == "edna_history":
            lines.write(line)
        elif message["type"] == "STATE":
            print(json.dumps(message["value"]), flush=True)
"""


@pytest.fixture
def project(tmp_path):
    loader = tmp_path / "loader"
    loader.write_text(LOADER.format(python=sys.executable))
    loader.chmod(loader.stat().st_mode | stat.S_IXUSR)
    names = ("start_date", "end_date", "edna_api_key", "edna_base_url")
    extractor = {
        "name": "tap-msghistory",
        "namespace": "tap_msghistory",
        "executable": str(COMMAND),
        "capabilities": ["catalog", "discover", "state"],
        "settings": [{"name": name} for name in names],
        "select": ["edna_history.*"],
    }
    target = {"name": "target-lines", "namespace": "target_lines", "executable": str(loader)}
    plugins = {"extractors": [extractor], "loaders": [target]}
    settings = {"send_anonymous_usage_stats": False, "plugins": plugins, "project_id": "shards"}
    (tmp_path / "meltano.yml").write_text(yaml.safe_dump(settings))
    return tmp_path


@pytest.fixture(scope="module")
def served():
    sandbox = Sandbox.generate(messages=600, seed=8, end_ms=END_MS, clock=Clock(END_MS, frozen=True))
    with sandbox.serve():
        yield sandbox


def run_shard(project, sandbox, state_id, start, end):
    """Run one shard with Meltano; return the identifiers of the loaded messages."""
    lines = project / f"{state_id}.jsonl"
    lines.unlink(missing_ok=True)
    kept = {
        name: value for name, value in environment().items() if not name.startswith(("MELTANO_", "PYTHON"))
    }
    variables = {
        "LINES": str(lines),
        "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
        "XDG_STATE_HOME": str(project),
        "TAP_MSGHISTORY_START_DATE": iso(start),
        "TAP_MSGHISTORY_END_DATE": iso(end),
        "TAP_MSGHISTORY_EDNA_API_KEY": sandbox.edna_options.key,
        "TAP_MSGHISTORY_EDNA_BASE_URL": sandbox.edna_base_url,
    }
    command = [str(MELTANO), "el", f"--state-id={state_id}", "tap-msghistory", "target-lines"]
    finished = subprocess.run(
        command, cwd=project, env={**kept, **variables}, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr[-2_000:]
    return sorted(json.loads(line)["record"]["messageId"] for line in lines.read_text().splitlines())


def test_concurrent_shards_read_their_own_messages_each_time(project, served):
    middle = END - timedelta(days=40)
    finished, other = ("finished", END - timedelta(days=90), middle), (middle, END)

    def expected(start, end):
        return sorted(
            row["messageId"]
            for row in served.edna_rows()
            if iso(start) < row["sentOrReceivedAt"][:23] + "Z" <= iso(end)
        )

    first = run_shard(project, served, *finished)
    assert set(first) >= set(expected(*finished[1:]))
    with ThreadPoolExecutor(2) as pool:
        for number in range(ROUNDS):
            again = pool.submit(run_shard, project, served, *finished)
            new = pool.submit(run_shard, project, served, f"shard-{number}", *other)
            assert again.result() == []
            assert set(new.result()) >= set(expected(*other))
