"""Reads with a local Spark: complete rows, latest statuses, and no visible credentials."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("pyspark", reason="needs the extra spark")

from pyspark.errors import AnalysisException, PySparkException, StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import struct, to_json

from demo.latest import keep_latest
from demo.spark_session import spark_session
from msghistory_sandbox.clock import Clock
from msghistory_sandbox.server import Sandbox
from tests.processes import environment
from tests.support import END, END_MS, ROOT, Message, config, in_send_order, iso, replication_key, sync, truth

EDNA, SMS = "edna_history", "partner_gateway_history_sms"


@pytest.fixture(scope="module")
def spark():
    with spark_session(2) as session:
        yield session


def read(spark: SparkSession, sandbox: Sandbox, stream: str = EDNA, **options) -> DataFrame:
    return spark.read.format("msghistory").options(**config(sandbox), stream=stream).options(**options).load()


def as_records(messages: DataFrame):
    """Return the rows as the tap emits them."""
    rows = messages.select(to_json(struct("*"), {"ignoreNullFields": "false"}).alias("json")).collect()
    records = [json.loads(row.json) for row in rows]
    return [record | {"extraFields": json.loads(record["extraFields"] or "null")} for record in records]


def test_parquet_files_contain_the_records_of_the_tap(spark, large, tmp_path):
    read(spark, large, num_partitions=4).write.parquet(str(tmp_path / "messages"))
    written = spark.read.parquet(str(tmp_path / "messages"))
    assert dict(written.dtypes)[replication_key(EDNA)] == "timestamp"
    assert len([*(tmp_path / "messages").glob("*.parquet")]) > 1
    assert in_send_order(EDNA, as_records(written)) == sync(config(large)).records(EDNA)


def test_columns_have_descriptions_and_nullability(spark, life_like):
    fields = {field.name: field for field in read(spark, life_like, SMS).schema}
    assert not fields["messageId"].nullable
    assert not fields["sendDate"].nullable
    assert fields["deliveryDate"].nullable
    assert fields["body"].metadata["comment"] == "Text of the message. Personal data."
    with_rejected = read(spark, life_like, SMS, rejected="column")
    assert [*with_rejected.schema][-1].name == "rejected"
    with pytest.raises(ValueError, match="rejected messages elsewhere first"):
        keep_latest(Path("nowhere"), replication_key(SMS))(with_rejected, 0)


def test_a_limit_returns_only_that_many_rows(spark, life_like):
    assert len(read(spark, life_like).limit(3).collect()) == 3


def test_a_streaming_query_keeps_the_latest_version_of_every_message(spark, tmp_path):
    """Across restarts: the query resumes from its checkpoint, and the tap from its state."""
    sandbox = Sandbox.generate(messages=6_000, seed=2, end_ms=END_MS)
    latest, state = tmp_path / "latest", None
    warehouse: dict[int, Message] = {}
    with sandbox.serve():
        for days in (12, 1, 0):
            moment = END - timedelta(days=days)
            sandbox.clock = Clock(int(moment.timestamp() * 1000), frozen=True)
            settings = config(sandbox, end_date=iso(moment))
            source = spark.readStream.format("msghistory").options(**settings, stream=EDNA).load()
            query = source.writeStream.foreachBatch(keep_latest(latest, replication_key(EDNA))).trigger(
                availableNow=True
            )
            query.option("checkpointLocation", str(tmp_path / "checkpoint")).start().awaitTermination()
            output = sync(settings, state=state)
            state = output.state
            warehouse |= {record["messageId"]: record for record in output.records(EDNA)}
        assert warehouse.keys() == {record["messageId"] for record in truth(sandbox, EDNA)}
    kept = as_records(spark.read.parquet(str(latest)).drop("day"))
    assert in_send_order(EDNA, kept) == in_send_order(EDNA, [*warehouse.values()])


def test_a_wrong_key_and_a_wrong_date_are_reported(spark, life_like):
    with pytest.raises(PySparkException) as error:
        read(spark, life_like, edna_api_key="K9XQ7").collect()
    assert "edna: status 401 Api key not found: check edna_api_key" in str(error.value)
    assert "K9XQ7" not in str(error.value)
    with pytest.raises(AnalysisException) as error:
        read(spark, life_like, start_date="tomorrow")
    assert "Setting start_date must be an ISO 8601 date or time" in str(error.value)


def test_a_failed_streaming_query_gives_the_reason_without_the_key(spark, life_like, tmp_path):
    options = {**config(life_like), "stream": EDNA, "edna_api_key": "K9XQ7"}
    writer = spark.readStream.format("msghistory").options(**options).load().writeStream
    query = writer.format("noop").option("checkpointLocation", str(tmp_path)).trigger(availableNow=True)
    with pytest.raises(StreamingQueryException) as error:
        query.start().awaitTermination()
    assert "edna: status 401 Api key not found: check edna_api_key" in str(error.value)
    assert "K9XQ7" not in str(error.value)


LEAKS = """
import json, sys, threading
from pathlib import Path
from demo.spark_session import spark_session
from tap_msghistory.spark import MessageHistoryDataSource

directory, options = Path(sys.argv[1]), json.loads(sys.argv[2])
events = {
    "spark_eventLog_enabled": "true",
    "spark_eventLog_compress": "false",
    "spark_eventLog_dir": str(directory / "events"),
}
(directory / "events").mkdir()
with spark_session(1, spark_log_level="INFO", **events) as spark:
    # As in a thread without a session.
    spark.conf.unset("spark.sql.redaction.options.regex")
    thread = threading.Thread(target=spark.dataSource.register, args=[MessageHistoryDataSource])
    thread.start()
    thread.join()
    messages = spark.read.format("msghistory").options(**options).load()
    messages.createOrReplaceTempView("messages")
    spark.sql("SELECT count(*) FROM messages").show()
    messages.write.parquet(str(directory / "messages"))
    streamed = spark.readStream.format("msghistory").options(**options).load()
    for frame in (messages, streamed, spark.table("messages")):
        for mode in ("extended", "codegen", "cost", "formatted"):
            frame.explain(mode=mode)
    query = streamed.writeStream.option("checkpointLocation", str(directory / "checkpoint"))
    query = query.trigger(availableNow=True).format("noop").start()
    query.awaitTermination()
    query.explain(extended=True)
    print(query.lastProgress)
    print(spark.conf.get("spark.sql.redaction.options.regex"))
"""


def test_credentials_are_in_no_plan_log_event_or_checkpoint(sandbox, tmp_path):
    """Nor addresses. Spark's user interface shows the event log. Only the messages contain addresses."""
    key, password, phone = "K9XQ7", "P9XQ7", "35000777333"
    sandbox.edna_options.key = key
    options = {
        **{name: value for name, value in config(sandbox).items() if name != "partner_gateway_api_key"},
        "stream": EDNA,
        "accounts": [{"name": "north", "edna_api_key": key}],
        "edna_api_key": key,
        "edna_subscriber_address": phone,
        "edna_subscriber_type": "PHONE",
        "partner_gateway_username": "U9XQ7",
        "partner_gateway_password": password,
        "partner_gateway_export_recipient": phone,
    }
    script = subprocess.run(
        [sys.executable, "-c", LEAKS, tmp_path, json.dumps(options)],
        env=environment(PYTHONPATH=str(ROOT)),
        check=False,
        capture_output=True,
        text=True,
    )
    assert script.returncode == 0, script.stderr[-3_000:]
    assert "redacted" in script.stdout
    events = [path for path in (tmp_path / "events").rglob("*") if path.is_file()]
    assert any("SparkListenerSQLExecutionStart" in path.read_text() for path in events)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    for text in (
        script.stdout,
        script.stderr,
        *(path.read_bytes().decode(errors="replace") for path in written),
    ):
        for secret in (key, password, "U9XQ7", phone):
            assert secret not in text


def test_the_tap_does_not_import_spark():
    program = "import sys, tap_msghistory.tap; print({'pyspark', 'pyarrow'} & set(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert printed.stdout.strip() == "set()"
