"""Messages a second through `meltano run` into PostgreSQL, as lines and as BATCH files."""

from __future__ import annotations

import json
import resource
import time
from contextlib import ExitStack
from dataclasses import replace
from itertools import product
from pathlib import Path

from psycopg import sql

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
    "our meltano.yml": {},
}
LINES, BATCH = "RECORD lines", "BATCH, jsonl.gz"
GATEWAY_KEY = "TAP_MSGHISTORY_PARTNER_GATEWAY_API_KEY"


def run(scale: Scale) -> Section:
    """Load the same messages in every way, each time into an empty table."""
    section = Section(
        "The whole pipe",
        f"{scale.pipe:,} edna messages through `meltano run` into an empty table in PostgreSQL, a run each. "
        "The rate leaves out what a run takes that finds nothing new, mostly Meltano's own start. CPU is "
        "that of Meltano, tap and loader together, without PostgreSQL's.",
        ["", "messages/s", "seconds of the run", "of one without news", "CPU s"],
    )
    with ExitStack() as stack:
        served = stack.enter_context(serve(History(messages=scale.pipe)))
        house = stack.enter_context(warehouse())
        address = Sandbox()  # stands for the address only
        address.url = served.url
        road = stack.enter_context(pipeline(address, house, start_date=served.start_date))
        road.sync(end_date=served.start_date)  # of nothing: a first run is slower than all others
        for form, loader in product((LINES, BATCH), LOADERS):
            directory = road.directory / f"run-{len(section.rows)}"
            directory.mkdir()
            way = replace(road, env={**road.env, **LOADERS[loader], **_variables(form, directory)})
            del way.env[GATEWAY_KEY]
            section.rows.append([f"{form}, {loader}", *_load(way, house, scale.pipe, served.end_date)])
            if form == BATCH and not list(directory.glob("*.gz")):
                raise CommandError("the tap wrote no BATCH files")
    return section


def _variables(form: str, directory: Path) -> dict[str, str]:
    """Return the environment of a run of its own state; BATCH files go into `directory`."""
    variables = {"MELTANO_STATE_BACKEND_URI": (directory / "state").as_uri()}
    if form == BATCH:
        batch_config = {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": directory.as_uri()},
        }
        variables["TAP_MSGHISTORY_BATCH_CONFIG"] = json.dumps(batch_config)
    return variables


def _load(road: Pipeline, house: Warehouse, messages: int, end_date: str) -> list[str]:
    """Load everything anew, then nothing; return the figures. CommandError if messages are missing."""
    house.connection.execute(sql.SQL("DROP TABLE {}").format(TABLE))
    all_s, cpu_s = _timed(road, end_date)
    ((found,),) = house.query(sql.SQL("SELECT count(*) FROM {}").format(TABLE))
    if found != messages:
        raise CommandError(f"{found:,} of {messages:,} messages are in PostgreSQL")
    nothing_s, _ = _timed(road, end_date)
    return [f"{messages / (all_s - nothing_s):,.0f}", f"{all_s:.1f}", f"{nothing_s:.1f}", f"{cpu_s:.1f}"]


def _timed(road: Pipeline, end_date: str) -> tuple[float, float]:
    """Run the pipeline; return the seconds and the CPU seconds that it took."""
    began, before = time.perf_counter(), _children_cpu_s()
    road.sync(end_date=end_date)
    return time.perf_counter() - began, _children_cpu_s() - before


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
