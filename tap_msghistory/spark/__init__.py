"""Message histories as a data source of Apache Spark, batch and streaming. Requires the extra `spark`.

`spark.dataSource.register(MessageHistoryDataSource)`, then `spark.read.format("msghistory")` or
`spark.readStream.format("msghistory")`, with the tap's settings as options.
"""

from tap_msghistory.spark.source import MessageHistoryDataSource, hide_credentials

__all__ = ["MessageHistoryDataSource", "hide_credentials"]
