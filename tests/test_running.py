"""docs/examples/sync.sh, the script for cron, systemd and Airflow."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import subprocess
import sys

import pytest

from tests.processes import COMMAND, environment
from tests.support import REJECTED, ROOT, config

SCRIPT = ROOT / "docs" / "examples" / "sync.sh"
#: Appends record lines to a file and prints states. With certain arguments it fails or truncates its output.
TARGET = """
import json, sys
how = sys.argv[1]
with open("loaded.jsonl", "a") as loaded:
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "RECORD":
            loaded.write(line)
        elif message["type"] == "STATE" and how != "nothing":
            print(json.dumps(message["value"]), flush=True)
if how == "cut":
    print('{"bookmarks": {"edna', end="")
sys.exit(how != "well")
"""


@pytest.fixture
def directory(tmp_path, sandbox, life_like):
    sandbox.edna.add(*list(life_like.edna)[::20])
    (tmp_path / "target.py").write_text(TARGET)
    (tmp_path / "config.json").write_text(json.dumps(config(sandbox, partner_gateway_api_key=None)))
    return tmp_path


def sync(directory, how="well"):
    variables = {"TAP": str(COMMAND), "TARGET": f"{sys.executable} target.py {how}"}
    return subprocess.run(
        [SCRIPT, directory], env=environment(**variables), capture_output=True, text=True, check=False
    )


def state(directory):
    return json.loads((directory / "state.json").read_text())


def created_files(directory):
    return {path.name for path in directory.iterdir()} - {"target.py", "config.json", "loaded.jsonl"}


def test_the_first_run_creates_the_state_for_the_next(directory, sandbox):
    first = sync(directory)
    assert first.returncode == 0, first.stderr
    requests = len(sandbox.requests)
    before = state(directory)
    assert requests > 0
    assert stat.S_IMODE((directory / "state.json").stat().st_mode) == 0o600
    assert sync(directory).returncode == 0
    assert len(sandbox.requests) == requests
    assert state(directory) == before
    assert created_files(directory) == {"state.json", "state.lock"}


def test_a_wrong_key_fails_and_keeps_the_state(directory):
    assert sync(directory).returncode == 0
    before = state(directory)
    path = directory / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "edna_api_key": "wrong", "end_date": None}))
    failed = sync(directory)
    assert failed.returncode == 1
    assert "edna_api_key" in failed.stderr
    assert state(directory)["bookmarks"]["edna_history"] == before["bookmarks"]["edna_history"]


@pytest.mark.parametrize("how", ["cut", "badly"])
def test_a_failing_target_fails_and_keeps_its_last_complete_state(directory, how):
    assert sync(directory, how).returncode == 1
    assert "edna_history" in state(directory)["bookmarks"]


def test_a_target_without_output_leaves_no_state(directory):
    assert sync(directory, "nothing").returncode == 1
    assert created_files(directory) == {"state.lock"}


def test_a_second_sync_does_not_overlap_the_first(directory, sandbox):
    with (directory / "state.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = sync(directory)
    assert refused.returncode == 75
    assert "still running" in refused.stderr
    assert sandbox.requests == []


def test_the_readmes_commands_work_from_the_first_run_on(directory, sandbox):
    readme = (ROOT / "README.md").read_text()
    block = readme.partition("## With plain Singer\n")[2].partition("```console\n")[2].partition("```")[0]
    lines = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    recipe = "\n".join(line for line in lines if "state" in line or "pipefail" in line)
    recipe = recipe.replace("tap-msghistory --", f"{COMMAND} --")
    recipe = recipe.replace("target-jsonl", f"{sys.executable} target.py well")
    for _ in range(2):
        ran = subprocess.run(
            ["/usr/bin/env", "bash", "-c", recipe],
            cwd=directory,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
    assert set(state(directory)["bookmarks"]) >= {"edna_history", REJECTED}
    assert len({request.params["dateFrom"] for request in sandbox.requests}) == 1


@pytest.mark.parametrize("whole_group", [True, False])
def test_a_stopped_sync_keeps_its_state(directory, sandbox, whole_group):
    """The scheduler's signal reaches the script alone, or all processes of its group."""
    path = directory / "config.json"
    slow = {"page_size": 1, "edna_requests_per_second": 40, "concurrency": 1, "revisit_after": ["P1D"]}
    path.write_text(json.dumps(json.loads(path.read_text()) | slow))
    (directory / "target.py").write_text(
        TARGET.replace("loaded.write(line)", "loaded.write(line); loaded.flush()")
    )
    variables = {"TAP": str(COMMAND), "TARGET": f"{sys.executable} target.py well"}
    process = subprocess.Popen(
        [SCRIPT, directory],
        env=environment(**variables),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    sandbox.journal.watch = lambda _: (
        process.send_signal(signal.SIGTERM) if len(sandbox.requests) == 60 else None
    )
    if whole_group:
        sandbox.journal.watch = lambda _: (
            os.killpg(process.pid, signal.SIGTERM) if len(sandbox.requests) == 60 else None
        )
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "the next run resumes" in errors
    assert created_files(directory) <= {"state.json", "state.lock"}
    assert not running(directory)


def running(directory):
    """Return whether a process of the script is still running."""
    return (
        subprocess.run(
            ["/usr/bin/env", "pgrep", "-f", str(directory)], capture_output=True, check=False
        ).returncode
        == 0
    )


@pytest.mark.parametrize("how", ["chatty", "unterminated"])
def test_only_a_states_line_is_saved(directory, how):
    ending = {"chatty": 'print("done")', "unterminated": 'print("{}", end="")'}[how]
    (directory / "target.py").write_text(TARGET.replace('if how == "cut":', f"{ending}\nif how == 'cut':"))
    assert sync(directory).returncode == 0
    assert isinstance(state(directory), dict)
