"""Use with Meltano: the project's meltano.yml, and a loader that only stores lines."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

yaml = pytest.importorskip("ruamel.yaml", reason="needs the dependency group pipeline")

from demo.pipeline import sqlalchemy_url  # noqa: E402
from demo.postgres import warehouse  # noqa: E402
from msghistory_sandbox.clock import Clock  # noqa: E402
from msghistory_sandbox.server import Sandbox  # noqa: E402
from tests.processes import COMMAND, environment  # noqa: E402
from tests.support import END, END_MS, EXPORT, ROOT, iso  # noqa: E402

pytestmark = pytest.mark.pipeline
MELTANO = Path(sys.executable).with_name("meltano")
LOADER = """#!{python}
import json, sys
with open("loaded.jsonl", "a") as loaded:
    for line in sys.stdin:
        message = json.loads(line)
        if message["type"] == "RECORD":
            loaded.write(line)
        elif message["type"] == "STATE":
            print(json.dumps(message["value"]), flush=True)
"""
AGES = ["PT1H", "P2D"]


class Project:
    """A Meltano project with the extractor of meltano.yml, and a second account that inherits from it."""

    def __init__(self, directory, variables, *, select=True):
        self.directory = directory
        loader = directory / "loader"
        loader.write_text(LOADER.format(python=sys.executable))
        loader.chmod(loader.stat().st_mode | stat.S_IXUSR)
        reader = yaml.YAML(typ="safe", pure=True)
        project = reader.load(ROOT / "meltano.yml")
        (extractor,) = project["plugins"]["extractors"]
        extractor["executable"] = str(COMMAND)
        del extractor["pip_url"], project["env"]
        if not select:
            del extractor["select"]
        second = {"name": "tap-msghistory--second", "inherit_from": "tap-msghistory"}
        target = {"name": "target-lines", "namespace": "target_lines", "executable": str(loader)}
        project["plugins"] = {"extractors": [extractor, second], "loaders": [target]}
        yaml.YAML().dump({**project, "project_id": "test"}, directory / "meltano.yml")
        kept = {
            name: value
            for name, value in environment().items()
            if not name.startswith(("MELTANO_", "TARGET_", "PYTHON"))
        }
        self.env = {
            **kept,
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
            "XDG_STATE_HOME": str(directory),
            "NO_COLOR": "1",
            **variables,
        }

    def meltano(self, *arguments):
        return subprocess.run(
            [MELTANO, *arguments],
            cwd=self.directory,
            env=self.env,
            capture_output=True,
            text=True,
            check=False,
        )

    def loaded(self):
        lines = (self.directory / "loaded.jsonl").read_text().splitlines()
        (self.directory / "loaded.jsonl").unlink()
        return [json.loads(line) for line in lines]


def serving(seed):
    return Sandbox.generate(messages=200, seed=seed, end_ms=END_MS, clock=Clock(END_MS, frozen=True)).serve()


def variables(sandbox, prefix="TAP_MSGHISTORY_"):
    return {
        f"{prefix}START_DATE": "2024-01-01",
        f"{prefix}END_DATE": iso(END),
        f"{prefix}EDNA_API_KEY": sandbox.edna_options.key,
        f"{prefix}EDNA_BASE_URL": sandbox.edna_base_url,
    }


def test_settings_in_the_environment_lead_to_a_readable_state(tmp_path):
    with serving(1) as sandbox:
        given = {**variables(sandbox), "TAP_MSGHISTORY_REVISIT_AFTER": json.dumps(AGES)}
        project = Project(tmp_path, given)
        ran = project.meltano("run", "tap-msghistory", "target-lines")
        assert ran.returncode == 0, ran.stderr
        assert "not found in the catalog" not in ran.stderr
        assert (
            len(
                {line["record"]["messageId"] for line in project.loaded() if line["stream"] == "edna_history"}
            )
            == 200
        )
        printed = project.meltano("state", "get", "dev:tap-msghistory-to-target-lines")
        (tmp_path / "state.json").write_text(printed.stdout)
        later = json.loads(printed.stdout)
        bookmark = later.get("completed", later)["singer_state"]["bookmarks"]["edna_history"]
        assert bookmark["replication_key_value"] == iso(END)
        bookmark["replication_key_value"] = bookmark["as_of"] = "2024-11-03T11:00:00.000Z"
        (tmp_path / "earlier.json").write_text(json.dumps(later))
        planned = project.meltano("invoke", "tap-msghistory", "--plan", "--state", "state.json")
        assert "nothing to read" in planned.stdout, planned.stderr
        planned = project.meltano("invoke", "tap-msghistory", "--plan", "--state", "earlier.json")
        assert planned.stdout.count("revisit") == len(AGES)


def test_two_inherited_accounts_have_separate_keys_and_states(tmp_path):
    with serving(1) as first, serving(2) as second:
        project = Project(tmp_path, {**variables(first), **variables(second, "TAP_MSGHISTORY__SECOND_")})
        loaded = []
        for name, sandbox in (("tap-msghistory", first), ("tap-msghistory--second", second)):
            ran = project.meltano("run", name, "target-lines")
            assert ran.returncode == 0, ran.stderr
            records = [line["record"] for line in project.loaded() if line["stream"] == "edna_history"]
            loaded.append({record["messageId"] for record in records})
            assert loaded[-1] == {row["messageId"] for row in sandbox.edna_rows()}
        assert loaded[0] != loaded[1]


def test_without_select_no_export_is_queued(tmp_path):
    with serving(1) as sandbox:
        given = variables(sandbox)
        del given["TAP_MSGHISTORY_EDNA_API_KEY"]
        gateway = {
            "TAP_MSGHISTORY_PARTNER_GATEWAY_API_KEY": sandbox.gateway_options.key,
            "TAP_MSGHISTORY_PARTNER_GATEWAY_BASE_URL": sandbox.gateway_base_url,
        }
        project = Project(tmp_path, {**given, **gateway}, select=False)
        ran = project.meltano("run", "tap-msghistory", "target-lines")
        assert ran.returncode == 0, ran.stderr
        assert EXPORT not in {line["stream"] for line in project.loaded()}
        assert [request for request in sandbox.requests if request.method == "POST"] == []


def test_the_readmes_commands_load_rows_into_postgresql(tmp_path):
    """Unchanged, except for the home directory, the dates, the key and the database."""
    readme = (ROOT / "README.md").read_text()
    block = readme.partition("## With Meltano\n")[2].partition("```console\n")[2].partition("```")[0]
    commands = block.replace("$ ", "", 1).replace("\n$ ", "\n")
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    project.mkdir()
    (home / "tap-msghistory").symlink_to(ROOT)
    with serving(1) as sandbox, warehouse() as database:
        for placeholder, value in {
            "TAP_MSGHISTORY_START_DATE=2024-01-01": f"TAP_MSGHISTORY_START_DATE=2024-01-01\n"
            f"TAP_MSGHISTORY_END_DATE={iso(END)}\n"
            f"TAP_MSGHISTORY_EDNA_BASE_URL={sandbox.edna_base_url}\n"
            f"TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA={database.schema}",
            "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx": sandbox.edna_options.key,
            "postgresql+psycopg://user:password@localhost:5432/database": sqlalchemy_url(database.dsn),
            "$HOME": str(home),
        }.items():
            assert placeholder in commands
            commands = commands.replace(placeholder, value)
        # The installation needs the machine's certificates and package indexes.
        env = {**os.environ, **Project(tmp_path, {}).env, "PATH": f"{MELTANO.parent}:{os.environ['PATH']}"}
        ran = subprocess.run(
            ["/usr/bin/env", "bash", "-euc", commands],
            cwd=project,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-3_000:]
        assert "edna_history: ok, newest message sent" in ran.stdout
        rows = database.connection.execute("SELECT count(*) FROM edna_history").fetchone()
    assert rows == (200,)
