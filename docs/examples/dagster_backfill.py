"""Backfill of several years in monthly shards with Dagster and Meltano; see docs/backfills.md.

Copy this file to a Meltano project with the extractor and the loader. Run `dagster instance concurrency set
msghistory 2` and `dagster dev -f dagster_backfill.py`, and materialize the missing partitions. A shard that
fails is retried from its own state.
"""

import os
import subprocess

from dagster import (
    AssetExecutionContext,
    Backoff,
    Definitions,
    MonthlyPartitionsDefinition,
    RetryPolicy,
    asset,
)

#: Number of concurrent shards, equal to the limit of Dagster's pool `msghistory`. They share the rate limit.
SHARDS_AT_ONCE = 2
#: Rate limit of a gateway key. If your edna account has a rate limit, divide edna_requests_per_second too.
REQUESTS_PER_MINUTE = 1000
REQUESTS_PER_SECOND = 50

#: The last month must be older than the last age in revisit_after (30 days). The end of this month is the
#: start_date of the hourly job.
MONTHS = MonthlyPartitionsDefinition(start_date="2023-01-01", end_date="2024-07-01")


@asset(
    partitions_def=MONTHS,
    pool="msghistory",
    retry_policy=RetryPolicy(max_retries=3, delay=60, backoff=Backoff.EXPONENTIAL),
)
def message_history(context: AssetExecutionContext) -> None:
    """Load one month of messages."""
    start, end = context.partition_time_window
    shard = {
        "TAP_MSGHISTORY_START_DATE": start.isoformat(),
        "TAP_MSGHISTORY_END_DATE": end.isoformat(),
        "TAP_MSGHISTORY_PARTNER_GATEWAY_REQUESTS_PER_MINUTE": str(REQUESTS_PER_MINUTE // SHARDS_AT_ONCE),
        "TAP_MSGHISTORY_PARTNER_GATEWAY_REQUESTS_PER_SECOND": str(REQUESTS_PER_SECOND // SHARDS_AT_ONCE),
    }
    subprocess.run(
        # Do not use `meltano run`: concurrent runs would share the catalog file and the state file.
        [
            "meltano",
            "el",
            f"--state-id=messages-{context.partition_key}",
            "tap-msghistory",
            "target-postgres",
        ],
        env={**os.environ, **shard},
        check=True,
    )


defs = Definitions(assets=[message_history])
