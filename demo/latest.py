"""Upsert into Parquet: keep the latest version of each message of a streaming query.

An example for a local directory. With Delta Lake, `MERGE` does the same on any storage; see docs/spark.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql.functions import col, to_date

#: Key of edna_history. A gateway channel has the key messageId. The option accounts prepends account.
KEY = ("messageId", "direction")


def keep_latest(directory: Path, sent_at: str, key: Sequence[str] = KEY) -> Callable[[DataFrame, int], None]:
    """Return a function for `foreachBatch` that merges a batch into `directory`.

    The directory has one subdirectory per day of `sent_at`. Each message must occur once per batch, and
    merging a batch again changes nothing. The function raises `ValueError` for a batch with a column
    `rejected`, because rejected messages have no key and no day and must be stored elsewhere.
    """

    def merge(batch: DataFrame, _number: int) -> None:
        if "rejected" in batch.columns:
            raise ValueError("Write the rejected messages elsewhere first, and drop the column rejected")
        # Without `persist`, each action below would read the batch from the vendor again.
        batch = batch.withColumn("day", to_date(col(sent_at))).persist()
        try:
            days = [row.day for row in batch.select("day").distinct().collect()]
            merged = batch
            if directory.exists():
                stored = batch.sparkSession.read.schema(batch.schema).parquet(str(directory))
                unchanged = stored.where(col("day").isin(days)).join(batch, [*key], "left_anti")
                merged = unchanged.unionByName(batch)
            if days:
                # Only days with messages in the batch are rewritten.
                writer = merged.write.mode("overwrite").option("partitionOverwriteMode", "dynamic")
                writer.partitionBy("day").parquet(str(directory))
        finally:
            batch.unpersist()

    return merge
