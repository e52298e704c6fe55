"""Rows a second through the Spark data source, by tasks at once; and, on paper, what larger ones take."""

from __future__ import annotations

import math
import time
from statistics import median

from pyspark.sql import SparkSession

from bench.contestants import ANY_KEY
from bench.report import Claim, Section
from bench.scale import Scale
from bench.serving import History, Served, serve
from demo.processes import CommandError
from demo.spark_session import spark_session

LATENCY_MS = 100
REPETITIONS = 3
KEY_A_SECOND = 1000 * 1000 / 60
"""Messages that the partner gateway gives one key: 1,000 requests a minute of 1,000 messages."""
ACCOUNTS = 100
OF_EACH = 100_000_000
CORES = (8, 64)


def run(scale: Scale) -> Section:
    """Read with one task and with two, far from the server and near it."""
    section = Section("Spark", "", ["", "wall s", "rows/s"])
    rates = {}
    with spark_session(2) as spark:
        for latency_ms in (LATENCY_MS, 0):
            with serve(History(messages=scale.spark, latency_ms=latency_ms)) as served:
                _read(spark, served, 2)  # lets Spark start its workers
                for tasks in (1, 2):
                    seconds = median(_read(spark, served, tasks) for _ in range(REPETITIONS))
                    rates[tasks, latency_ms] = scale.spark / seconds
                    name = f"{tasks} {'task' if tasks == 1 else 'tasks'}, {latency_ms} ms an answer"
                    section.rows.append([name, f"{seconds:.2f}", f"{rates[tasks, latency_ms]:,.0f}"])
    section.explanation = _explanation(scale.spark, rates[1, LATENCY_MS])
    one = rates[1, LATENCY_MS]
    section.claims = [
        Claim("One task saturates a key of the gateway", f"{one:,.0f} rows/s", one >= KEY_A_SECOND)
    ]
    return section


def _read(spark: SparkSession, served: Served, tasks: int) -> float:
    """Read all, writing it nowhere, and return the seconds; CommandError unless it was all."""
    messages = (
        spark.read.format("msghistory")
        .options(edna_api_key=ANY_KEY, edna_base_url=served.url, stream="edna_history", num_partitions=tasks)
        .options(start_date=served.start_date, end_date=served.end_date)
        .load()
    )
    began = time.perf_counter()
    found = messages.count()  # the data source always gives whole rows
    seconds = time.perf_counter() - began
    if found != served.history.messages:
        raise CommandError(f"Spark read {found:,} of {served.history.messages:,} messages")
    return seconds


def _explanation(messages: int, one: float) -> str:
    key_minutes = OF_EACH / KEY_A_SECOND / 60
    waves = " and ".join(
        f"{cores} cores {math.ceil(ACCOUNTS / cores) * key_minutes / 60:,.1f} hours" for cores in CORES
    )
    tasks = math.ceil(KEY_A_SECOND / one)
    return (
        f"{messages:,} edna messages, planning included, the session's start not; `concurrency` is 4 in each "
        f"task. On paper: the gateway gives a key {KEY_A_SECOND:,.0f} messages a second, which {tasks} "
        f"{'task reaches' if tasks == 1 else 'tasks reach'} at {LATENCY_MS} ms. So more tasks a key gain "
        f"nothing; more keys do. {ACCOUNTS} accounts of {OF_EACH:,} messages take {key_minutes:,.0f} "
        f"minutes with a core an account, since each key's limit does; one task a core, {waves}."
    )
