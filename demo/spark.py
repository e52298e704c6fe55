"""`make demo-spark`: read histories with Spark into Parquet, and compare the counts with the tap's."""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession
from pyspark.sql.functions import col

from demo.__main__ import print_step
from demo.latest import keep_latest
from demo.processes import CommandError, interruptible, run
from demo.spark_session import spark_session
from msghistory_sandbox.clock import Clock
from msghistory_sandbox.server import Sandbox

MESSAGES = 20_000
"""Per vendor."""
DAYS = 40
CORES = 2
STREAMS = {
    "edna_history": "sentOrReceivedAt",
    "partner_gateway_history_sms": "sendDate",
    "partner_gateway_history_rcs": "sendDate",
    "partner_gateway_history_whatsapp": "sendDate",
}
TAP = Path(sys.executable).with_name("tap-msghistory")


def main() -> int:
    """Run the demo and return the exit code."""
    try:
        with interruptible(), TemporaryDirectory(prefix="msghistory-") as name:
            return _demo(Path(name))
    except KeyboardInterrupt:
        print("Stopped. All temporary files and servers were removed.", file=sys.stderr)
        return 130
    except (CommandError, OSError, PySparkException) as error:
        print(error, file=sys.stderr)
        return 1


def _demo(directory: Path) -> int:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    yesterday = now - timedelta(days=1)
    clock = Clock(round(yesterday.timestamp() * 1000), frozen=True)
    end_ms = round(now.timestamp() * 1000)
    sandbox = Sandbox.generate(messages=MESSAGES, days=DAYS, end_ms=end_ms, clock=clock)
    with sandbox.serve(), spark_session(CORES) as spark:
        settings = {
            "start_date": (now - timedelta(days=DAYS)).isoformat(),
            "edna_api_key": sandbox.edna_options.key,
            "edna_base_url": sandbox.edna_base_url,
            "partner_gateway_api_key": sandbox.gateway_options.key,
            "partner_gateway_base_url": sandbox.gateway_base_url,
        }
        print_step(
            f"Sandbox: {MESSAGES:,} messages per vendor, sent in {DAYS} days; its clock shows yesterday"
        )
        print_step(f"Spark {spark.version} on local[{CORES}]")
        until_yesterday = {**settings, "end_date": yesterday.isoformat()}
        print_step("A streaming query reads all messages of edna until yesterday, and stops")
        _stream(spark, directory, until_yesterday)
        before = _statuses(spark, directory)

        clock.advance(timedelta(days=1).total_seconds())
        until_now = {**settings, "end_date": now.isoformat()}
        print_step("One day passes in the sandbox: new messages are sent, statuses change")
        print_step("The query resumes: new messages, and messages that reached an age in revisit_after")
        _stream(spark, directory, until_now)
        after = _statuses(spark, directory)

        print_step("Batch reads write all messages of each stream to Parquet")
        written = {stream: _write(spark, directory, stream, until_now) for stream in STREAMS}
        print_step("The tap reads the same streams")
        emitted = _tap(directory, until_now)
        print(f"\nedna messages by status\n\n{_table(('status', 'yesterday', 'now'), before, after)}")
        print(f"\nMessages by stream\n\n{_table(('stream', 'Spark', 'tap'), written, emitted)}")
        latest = sum(after.values())
        print(f"\nThe streaming query stored the latest version of {latest:,} edna messages.")
        if written != emitted or latest != emitted["edna_history"]:
            print("The counts DIFFER.", file=sys.stderr)
            return 1
    print("The counts are equal. The servers and the files were temporary and have been deleted.")
    return 0


def _stream(spark: SparkSession, directory: Path, settings: dict[str, str]) -> None:
    """Read all available messages, and store the latest version of each."""
    stream = "edna_history"
    messages = spark.readStream.format("msghistory").options(**settings, stream=stream).load()
    writer = messages.writeStream.foreachBatch(keep_latest(directory / "latest", STREAMS[stream]))
    query = writer.option("checkpointLocation", str(directory / "checkpoint")).trigger(availableNow=True)
    query.start().awaitTermination()


def _statuses(spark: SparkSession, directory: Path) -> Counter[str]:
    latest = spark.read.parquet(str(directory / "latest"))
    counts = latest.groupBy(col("deliveryStatus")).count().collect()
    return Counter({row.deliveryStatus: row["count"] for row in counts})


def _write(spark: SparkSession, directory: Path, stream: str, settings: dict[str, str]) -> int:
    """Write the messages of a stream to Parquet, and return the number of rows in the files."""
    path = str(directory / stream)
    messages = spark.read.format("msghistory").options(**settings, stream=stream, num_partitions=CORES).load()
    messages.write.parquet(path)
    return spark.read.parquet(path).count()


def _tap(directory: Path, settings: dict[str, str]) -> Counter[str]:
    """Run the tap, and return its number of records per stream."""
    config, output = directory / "config.json", directory / "output"
    config.write_text(json.dumps(settings))
    run([TAP, "--config", config], log=output)
    with output.open() as lines:  # the file also contains log lines
        messages = [json.loads(line) for line in lines if line.startswith("{")]
    records = (message for message in messages if message["type"] == "RECORD")
    return Counter(record["stream"] for record in records if record["stream"] in STREAMS)


def _table(header: tuple[str, str, str], *columns: dict[str, int]) -> str:
    names = sorted({name for column in columns for name in column})
    rows = [header, *((name, *(f"{counts.get(name, 0):,}" for counts in columns)) for name in names)]
    return "\n".join(f"{name:34}{first:>12}{second:>12}" for name, first, second in rows)


if __name__ == "__main__":
    sys.exit(main())
