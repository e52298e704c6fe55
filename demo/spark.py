"""`make demo-spark`: the same histories through Spark into Parquet, and whether the tap has as many."""

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

from demo.__main__ import say
from demo.latest import keep_latest
from demo.processes import CommandError, interruptible, run
from demo.spark_session import spark_session
from msghistory_sandbox.clock import Clock
from msghistory_sandbox.server import Sandbox

MESSAGES = 20_000
"""Of each vendor."""
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
    """Run the demo; returns the exit code."""
    try:
        with interruptible(), TemporaryDirectory(prefix="msghistory-") as name:
            return _demo(Path(name))
    except KeyboardInterrupt:
        print("Stopped. Nothing is left behind.", file=sys.stderr)
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
        say(f"Sandbox: {MESSAGES:,} messages of each vendor in {DAYS} days; its clock is at yesterday")
        say(f"Spark {spark.version} on local[{CORES}]")
        until_yesterday = {**settings, "end_date": yesterday.isoformat()}
        say("A streaming query reads everything of edna until yesterday, and stops")
        _stream(spark, directory, until_yesterday)
        before = _statuses(spark, directory)

        clock.advance(timedelta(days=1).total_seconds())
        until_now = {**settings, "end_date": now.isoformat()}
        say("A day goes by in the sandbox: new messages come in, statuses move")
        say("It goes on from its checkpoint: what is new, and each message that has come to an age")
        _stream(spark, directory, until_now)
        after = _statuses(spark, directory)

        say("Batch reads bring all of every stream into Parquet")
        written = {stream: _write(spark, directory, stream, until_now) for stream in STREAMS}
        say("The tap reads the same")
        tapped = _tap(directory, until_now)
        print(f"\nedna's messages by status\n\n{_table(('status', 'yesterday', 'now'), before, after)}")
        print(f"\nMessages\n\n{_table(('stream', 'Spark', 'tap'), written, tapped)}")
        kept = sum(after.values())
        print(f"\nKept by the streaming query: {kept:,} messages of edna, each in its latest version.")
        if written != tapped or kept != tapped["edna_history"]:
            print("They are NOT the same.", file=sys.stderr)
            return 1
    print("They are the same. The servers and the files were temporary, and are gone.")
    return 0


def _stream(spark: SparkSession, directory: Path, settings: dict[str, str]) -> None:
    """Read what is available now, and keep the latest version of each message."""
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
    """Write a stream's messages to Parquet, and return how many lie there then."""
    path = str(directory / stream)
    messages = spark.read.format("msghistory").options(**settings, stream=stream, num_partitions=CORES).load()
    messages.write.parquet(path)
    return spark.read.parquet(path).count()


def _tap(directory: Path, settings: dict[str, str]) -> Counter[str]:
    """Run the tap, and return how many records it has emitted of each history."""
    config, output = directory / "config.json", directory / "output"
    config.write_text(json.dumps(settings))
    run([TAP, "--config", config], log=output)
    with output.open() as lines:  # log lines stand among them
        messages = [json.loads(line) for line in lines if line.startswith("{")]
    return Counter(it["stream"] for it in messages if it["type"] == "RECORD" and it["stream"] in STREAMS)


def _table(header: tuple[str, str, str], *columns: dict[str, int]) -> str:
    names = sorted({name for column in columns for name in column})
    rows = [header, *((name, *(f"{it.get(name, 0):,}" for it in columns)) for name in names)]
    return "\n".join(f"{name:34}{first:>12}{second:>12}" for name, first, second in rows)


if __name__ == "__main__":
    sys.exit(main())
