"""From the API into PostgreSQL: Meltano, dlt's generic source, this project's dlt source, a plain script."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple
from uuid import uuid4

from psycopg import sql

from bench.commands import temporary_commands
from bench.measure import check, children_cpu_s
from bench.parts.pipe import GATEWAY_KEY, LOADERS
from bench.report import Section, Target
from bench.scale import Scale
from bench.serving import REPOSITORY, History, Served, serve
from demo.pipeline import Pipeline, no_proxy, pipeline
from demo.postgres import Warehouse, network_url, warehouse
from demo.processes import CommandError
from demo.processes import run as run_command
from msghistory_sandbox.server import Sandbox

REPETITIONS = 3
"""Of the dlt pipelines and the script, alternately. Meltano runs once."""
MIN_SPEEDUP = 2.5
"""Over dlt's generic source, by wall time."""
MIN_SCRIPT_RATIO = 0.5
"""Wall time of the plain script divided by that of the dlt source."""
REST_API, SOURCE, SCRIPT = "dlt, rest_api", "dlt, tap_msghistory.dlt", "plain script: COPY and merge"
SCRIPTS = {REST_API: "dlt_rest_api", SOURCE: "dlt_source", SCRIPT: "hand_written"}


class Usage(NamedTuple):
    """Seconds of one load, for all its processes, but without PostgreSQL."""

    wall_s: float
    cpu_s: float


def run(scale: Scale) -> Section:
    """Load the same messages in each way, each time into an empty schema, and count the rows."""
    messages = scale.cpu
    with ExitStack() as stack:
        served = stack.enter_context(serve(History(messages=messages)))
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="msghistory-bench-")))
        database = stack.enter_context(warehouse())
        with temporary_commands() as available:
            check(available.plain_script(served), messages)  # warm-up: the server renders all rows
        runs: dict[str, list[Usage]] = {name: [] for name in SCRIPTS}
        for _ in range(REPETITIONS):
            for name, script in SCRIPTS.items():
                load = partial(_run_script, script, served, network_url(database.dsn), directory / "log")
                runs[name].append(_measure(database, load, messages))
        project = stack.enter_context(_meltano(served, database))
        for loader, variables in LOADERS.items():
            state = {"MELTANO_STATE_BACKEND_URI": (directory / loader.replace(" ", "-")).as_uri()}
            load = partial(_run_meltano, project, served, {**variables, **state})
            runs[f"Meltano, {loader}"] = [_measure(database, load, messages)]
    return _section(messages, {name: _median(usages) for name, usages in runs.items()})


def _measure(database: Warehouse, load: Callable[[str], None], messages: int) -> Usage:
    """Load into a new schema. Raises CommandError unless it then has `messages` rows."""
    with _schema(database) as schema:
        started_at, cpu_before = time.perf_counter(), children_cpu_s()
        load(schema)
        usage = Usage(time.perf_counter() - started_at, children_cpu_s() - cpu_before)
        count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, "edna_history"))
        ((found,),) = database.query(count)
    if found != messages:
        raise CommandError(f"{found:,} of {messages:,} messages are in PostgreSQL")
    return usage


@contextmanager
def _schema(database: Warehouse) -> Iterator[str]:
    """Create a schema, and drop it at the end, also the one in which dlt stages rows."""
    name = f"msghistory_{uuid4().hex[:12]}"
    database.connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    try:
        yield name
    finally:
        for schema in (name, f"{name}_staging"):
            drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema))
            database.connection.execute(drop)


def _run_script(script: str, served: Served, dsn: str, log: Path, schema: str) -> None:
    command = [sys.executable, "-m", "bench.warehouse_scripts", script]
    arguments = [served.url, served.start_date, served.end_date, dsn, schema]
    # As in bench.measure, without Python settings that slow it down.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env |= dict.fromkeys(("no_proxy", "NO_PROXY"), no_proxy())
    run_command([*command, *arguments], log=log, cwd=REPOSITORY, env=env)


def _run_meltano(project: Pipeline, served: Served, variables: dict[str, str], schema: str) -> None:
    env = {**project.env, **variables, "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": schema}
    replace(project, env=env).sync(end_date=served.end_date)


@contextmanager
def _meltano(served: Served, database: Warehouse) -> Iterator[Pipeline]:
    """Yield an installed project that reads edna's history. It has been run once, without messages."""
    sandbox = Sandbox()  # provides the address only
    sandbox.url = served.url
    with pipeline(sandbox, database, start_date=served.start_date) as project:
        del project.env[GATEWAY_KEY]
        project.sync(end_date=served.start_date)  # the first run is the slowest
        yield project


def _median(usages: list[Usage]) -> Usage:
    return Usage(*(median(values) for values in zip(*usages, strict=True)))


def _section(messages: int, usages: dict[str, Usage]) -> Section:
    speedup = usages[REST_API].wall_s / usages[SOURCE].wall_s
    script_ratio = usages[SCRIPT].wall_s / usages[SOURCE].wall_s
    return Section(
        "API to PostgreSQL",
        f"{messages:,} edna messages into an empty table, merged on the primary key; whole processes, "
        "including startup. CPU time includes all processes except PostgreSQL. Both dlt pipelines load "
        "Parquet with ADBC, the fastest format for PostgreSQL. The plain script has no retries, state or "
        "checks. Meltano runs once, the others three times.",
        ["", "wall s", "CPU s", "messages/s"],
        [
            [name, f"{usage.wall_s:.1f}", f"{usage.cpu_s:.1f}", f"{messages / usage.wall_s:,.0f}"]
            for name, usage in sorted(usages.items(), key=lambda item: -item[1].wall_s)
        ],
        findings=[
            f"dlt's rest_api relative to this dlt source: {speedup:.1f} times by wall",
            f"Plain script relative to this dlt source: {script_ratio:.2f} times by wall",
        ],
        targets=[
            Target(
                f"At least {MIN_SPEEDUP} times as fast as dlt's rest_api",
                f"{speedup:.1f} times",
                speedup >= MIN_SPEEDUP,
            ),
            Target(
                f"At least {MIN_SCRIPT_RATIO} times as fast as the plain script",
                f"{script_ratio:.2f} times",
                script_ratio >= MIN_SCRIPT_RATIO,
            ),
        ],
    )
