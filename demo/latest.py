"""Keeps the latest version of each message in Parquet: what a streaming query hands its batches to.

An example, for a directory of this machine; with Delta Lake, `MERGE` does the same in place, and anywhere:
docs/spark.md shows how.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pyspark.sql import DataFrame
from pyspark.sql.functions import col, to_date

#: Of edna_history; a gateway channel has messageId alone. With the option accounts, account comes first.
KEY = ("messageId", "direction")


def keep_latest(directory: Path, sent_at: str, key: Sequence[str] = KEY) -> Callable[[DataFrame, int], None]:
    """Return what `foreachBatch` takes; the directory has one subdirectory per day of `sent_at`.

    A batch has each message once. To do one twice changes nothing. Raises `ValueError`
    for one with a column `rejected`: what is rejected has neither key nor day, and goes elsewhere.
    """

    def merge(batch: DataFrame, _number: int) -> None:
        if "rejected" in batch.columns:
            raise ValueError("Write the rejected messages elsewhere first, and drop the column rejected")
        # Without it, each of the two steps below would read the batch from the vendor.
        batch = batch.withColumn("day", to_date(col(sent_at))).persist()
        try:
            days = [row.day for row in batch.select("day").distinct().collect()]
            merged = batch
            if directory.exists():
                kept = batch.sparkSession.read.schema(batch.schema).parquet(str(directory))
                kept = kept.where(col("day").isin(days)).join(batch, [*key], "left_anti")
                merged = kept.unionByName(batch)
            if days:
                # Only the days that the batch has messages of are written anew.
                writer = merged.write.mode("overwrite").option("partitionOverwriteMode", "dynamic")
                writer.partitionBy("day").parquet(str(directory))
        finally:
            batch.unpersist()

    return merge
