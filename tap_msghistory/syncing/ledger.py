"""The ledger: one row per window, for checking the completeness of a warehouse."""

from __future__ import annotations

from typing import Any

from tap_msghistory.reading.batches import Batch
from tap_msghistory.schemas import load_schema
from tap_msghistory.syncing.declarations import AuxiliaryDeclaration
from tap_msghistory.timestamps import now, to_text

SYNC_WINDOWS = AuxiliaryDeclaration(
    name="sync_windows",
    schema=load_schema("sync_window"),
    primary_keys=("runId", "stream", "windowFrom"),
    replication_key="readAt",
)


def ledger_row(run_id: str, stream: str, batch: Batch, *, messages: int, rejected: int) -> dict[str, Any]:
    """Return the row of the window that `batch` ends."""
    window, stats = batch.window, batch.stats
    return {
        "runId": run_id,
        "stream": stream,
        "windowFrom": to_text(window.start),
        "windowTo": to_text(window.end),
        "reason": window.reason.value,
        "messages": messages,
        "rejected": rejected,
        "pages": stats.pages,
        "requests": stats.requests,
        "retries": stats.retries,
        "seconds": round(stats.seconds, 3),
        "confirmed": stats.confirmed,
        "refused": batch.refusal is not None,
        "readAt": to_text(now()),
    }
