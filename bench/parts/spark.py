"""Throughput of the Spark data source by number of partitions, with an estimate for large histories."""

from __future__ import annotations

import math
import time
from statistics import median

from pyspark.sql import SparkSession

from bench.commands import ANY_KEY
from bench.report import Section, Target
from bench.scale import Scale
from bench.serving import History, Served, serve
from demo.processes import CommandError
from demo.spark_session import spark_session

LATENCY_MS = 100
REPETITIONS = 3
KEY_LIMIT = 1000 * 1000 / 60
"""Messages per second that the gateway allows one key: 1,000 requests per minute of 1,000 messages."""
ACCOUNTS = 100
MESSAGES_PER_ACCOUNT = 100_000_000
CORES = (8, 64)


def run(scale: Scale) -> Section:
    """Read with one partition and with two, with and without latency."""
    section = Section("Spark", "", ["", "wall s", "rows/s"])
    rates = {}
    with spark_session(2) as spark:
        for latency_ms in (LATENCY_MS, 0):
            with serve(History(messages=scale.spark, latency_ms=latency_ms)) as served:
                _read(spark, served, 2)  # warm-up: Spark starts its workers
                for partitions in (1, 2):
                    seconds = median(_read(spark, served, partitions) for _ in range(REPETITIONS))
                    rates[partitions, latency_ms] = scale.spark / seconds
                    unit = "partition" if partitions == 1 else "partitions"
                    name = f"{partitions} {unit}, {latency_ms} ms per response"
                    section.rows.append([name, f"{seconds:.2f}", f"{rates[partitions, latency_ms]:,.0f}"])
    one_partition = rates[1, LATENCY_MS]
    section.description = _description(scale.spark, one_partition)
    section.targets = [
        Target(
            f"One partition reaches the gateway's limit of a key ({KEY_LIMIT:,.0f} rows/s)",
            f"{one_partition:,.0f} rows/s",
            one_partition >= KEY_LIMIT,
        )
    ]
    return section


def _read(spark: SparkSession, served: Served, partitions: int) -> float:
    """Read all messages and return the seconds. Raises CommandError if messages are missing."""
    messages = (
        spark.read.format("msghistory")
        .options(edna_api_key=ANY_KEY, edna_base_url=served.url, stream="edna_history")
        .options(num_partitions=partitions, start_date=served.start_date, end_date=served.end_date)
        .load()
    )
    started_at = time.perf_counter()
    found = messages.count()  # the data source always produces complete rows
    seconds = time.perf_counter() - started_at
    if found != served.history.messages:
        raise CommandError(f"Spark read {found:,} of {served.history.messages:,} messages")
    return seconds


def _description(messages: int, one_partition: float) -> str:
    minutes_per_account = MESSAGES_PER_ACCOUNT / KEY_LIMIT / 60
    durations = " and ".join(
        f"{math.ceil(ACCOUNTS / cores) * minutes_per_account / 60:,.1f} hours on {cores} cores"
        for cores in CORES
    )
    needed = math.ceil(KEY_LIMIT / one_partition)
    unit = "partition reaches" if needed == 1 else "partitions reach"
    return (
        f"{messages:,} edna messages, including planning but not the start of the session; `concurrency` is "
        "4 in each partition. Estimate for large histories: the gateway allows a key "
        f"{KEY_LIMIT:,.0f} messages per second, which {needed} {unit} at {LATENCY_MS} ms. More partitions "
        f"per key therefore gain nothing, but more keys do. {ACCOUNTS} accounts of {MESSAGES_PER_ACCOUNT:,} "
        f"messages take {minutes_per_account:,.0f} minutes with one core per account (limited by the keys), "
        f"and {durations}, with one partition per core."
    )
