"""The ledger: one row per window, for checking the completeness of a warehouse."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar
from uuid import uuid4

from tap_msghistory.reading.batches import Batch
from tap_msghistory.schemas import load_schema
from tap_msghistory.streams.auxiliary import AuxiliaryStream
from tap_msghistory.timestamps import now, to_text


class SyncWindowsStream(AuxiliaryStream):
    """Windows of send time that were read or refused."""

    name = "sync_windows"
    schema = load_schema("sync_window")
    primary_keys: ClassVar[tuple[str, ...]] = ("runId", "stream", "windowFrom")
    replication_key = None
    selected_by_default = True

    @cached_property
    def run_id(self) -> str:
        """The identifier of this run."""
        return str(uuid4())

    def write(self, stream: str, batch: Batch, *, messages: int, rejected: int) -> None:
        """Emit the row of the window that `batch` completes. All its messages must have been emitted."""
        window, stats = batch.window, batch.stats
        self.write_record(
            {
                "runId": self.run_id,
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
        )
