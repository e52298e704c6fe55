"""Throughput of `meltano run` into PostgreSQL, with RECORD messages and with BATCH files."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path

from psycopg import sql

from bench.measure import children_cpu_s
from bench.report import Section
from bench.scale import Scale
from bench.serving import History, serve
from demo.pipeline import Pipeline, pipeline
from demo.postgres import Warehouse, warehouse
from demo.processes import CommandError
from msghistory_sandbox.server import Sandbox

TABLE = sql.Identifier("edna_history")
LOADERS: dict[str, dict[str, str]] = {
    "target-postgres's defaults": {
        "TARGET_POSTGRES_USE_COPY": "false",
        "TARGET_POSTGRES_VALIDATE_RECORDS": "true",
        "TARGET_POSTGRES_ADD_RECORD_METADATA": "true",
        "TARGET_POSTGRES_ACTIVATE_VERSION": "true",
    },
    "settings in meltano.yml": {},
}
RECORDS, BATCH = "RECORD lines", "BATCH, jsonl.gz"
GATEWAY_KEY = "TAP_MSGHISTORY_PARTNER_GATEWAY_API_KEY"


def run(scale: Scale) -> Section:
    """Load the same messages in each format with each loader configuration, each time into an empty table."""
    section = Section(
        "Whole pipeline",
        f"{scale.pipe:,} edna messages through `meltano run` into an empty table in PostgreSQL, one run "
        "each. The rate excludes the time of a run without new messages, which is mostly Meltano's startup. "
        "CPU time is that of Meltano, tap and loader together, without PostgreSQL.",
        ["", "messages/s", "s per run", "s per run without new messages", "CPU s"],
    )
    with ExitStack() as stack:
        served = stack.enter_context(serve(History(messages=scale.pipe)))
        database = stack.enter_context(warehouse())
        sandbox = Sandbox()  # provides the address only
        sandbox.url = served.url
        project = stack.enter_context(pipeline(sandbox, database, start_date=served.start_date))
        project.sync(end_date=served.start_date)  # warm-up without messages: the first run is the slowest
        for message_format, loader in product((RECORDS, BATCH), LOADERS):
            directory = project.directory / f"run-{len(section.rows)}"
            directory.mkdir()
            env = {**project.env, **LOADERS[loader], **_variables(message_format, directory)}
            del env[GATEWAY_KEY]
            figures = _load(replace(project, env=env), database, scale.pipe, served.end_date)
            section.rows.append([f"{message_format}, {loader}", *figures])
            if message_format == BATCH and not list(directory.glob("*.gz")):
                raise CommandError("the tap wrote no BATCH files")
    return section


def _variables(message_format: str, directory: Path) -> dict[str, str]:
    """Return variables for a run with its own state; BATCH files are written to `directory`."""
    variables = {"MELTANO_STATE_BACKEND_URI": (directory / "state").as_uri()}
    if message_format == BATCH:
        batch_config = {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": directory.as_uri()},
        }
        variables["TAP_MSGHISTORY_BATCH_CONFIG"] = json.dumps(batch_config)
    return variables


def _load(project: Pipeline, database: Warehouse, messages: int, end_date: str) -> list[str]:
    """Load all messages into a new table, run again without new messages, and return the figures.

    Raises CommandError if messages are missing.
    """
    database.connection.execute(sql.SQL("DROP TABLE {}").format(TABLE))
    full_run_s, cpu_s = _timed(project, end_date)
    ((found,),) = database.query(sql.SQL("SELECT count(*) FROM {}").format(TABLE))
    if found != messages:
        raise CommandError(f"{found:,} of {messages:,} messages are in PostgreSQL")
    empty_run_s, _ = _timed(project, end_date)
    rate = messages / (full_run_s - empty_run_s)
    return [f"{rate:,.0f}", f"{full_run_s:.1f}", f"{empty_run_s:.1f}", f"{cpu_s:.1f}"]


def _timed(project: Pipeline, end_date: str) -> tuple[float, float]:
    """Run the pipeline and return its wall time and CPU time in seconds."""
    started_at, cpu_before = time.perf_counter(), children_cpu_s()
    project.sync(end_date=end_date)
    return time.perf_counter() - started_at, children_cpu_s() - cpu_before
