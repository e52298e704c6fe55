"""A backfill of years in monthly shards, with Dagster and Meltano; docs/backfills.md says why it is so.

Put it into a Meltano project that has the extractor and the loader. `dagster instance concurrency set
msghistory 2`, `dagster dev -f dagster_backfill.py`, then materialize the partitions that are missing; a
shard that fails is repeated from its own state.
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

#: Shards that may run at once, by the limit of Dagster's pool `msghistory`. They share the key's rate.
SHARDS_AT_ONCE = 2
#: The gateway's rate for a key. If edna has given you one, divide edna_requests_per_second too.
REQUESTS_PER_MINUTE = 1000
REQUESTS_PER_SECOND = 50

#: Up to a month that is older than the oldest age of revisit_after (30 days): from there on, the hourly
#: job reads, with that month's end as its start_date.
MONTHS = MonthlyPartitionsDefinition(start_date="2023-01-01", end_date="2024-07-01")


@asset(
    partitions_def=MONTHS,
    pool="msghistory",
    retry_policy=RetryPolicy(max_retries=3, delay=60, backoff=Backoff.EXPONENTIAL),
)
def message_history(context: AssetExecutionContext) -> None:
    """Load a month of messages."""
    start, end = context.partition_time_window
    shard = {
        "TAP_MSGHISTORY_START_DATE": start.isoformat(),
        "TAP_MSGHISTORY_END_DATE": end.isoformat(),
        "TAP_MSGHISTORY_PARTNER_GATEWAY_REQUESTS_PER_MINUTE": str(REQUESTS_PER_MINUTE // SHARDS_AT_ONCE),
        "TAP_MSGHISTORY_PARTNER_GATEWAY_REQUESTS_PER_SECOND": str(REQUESTS_PER_SECOND // SHARDS_AT_ONCE),
    }
    subprocess.run(
        # Not `meltano run`: concurrent runs would share their catalog and state files.
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
