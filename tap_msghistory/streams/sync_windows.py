"""The ledger: what was read, a row a window, so that a warehouse can be checked against it."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar
from uuid import uuid4

from singer_sdk.schema.source import StreamSchema

from tap_msghistory.reading.window_rows import Batch
from tap_msghistory.schemas import SCHEMAS
from tap_msghistory.streams.auxiliary import SideStream
from tap_msghistory.timestamps import now, to_text


class SyncWindowsStream(SideStream):
    """Every window of send time that was read whole."""

    name = "sync_windows"
    schema: ClassVar[StreamSchema] = StreamSchema(SCHEMAS, key="sync_window")
    primary_keys: ClassVar[tuple[str, ...]] = ("runId", "stream", "windowFrom")

    @cached_property
    def run_id(self) -> str:
        """What the rows of this run share, and those of no other have."""
        return str(uuid4())

    def write(self, stream: str, batch: Batch, *, messages: int, rejected: int) -> None:
        """Emit the row of the window of `stream` that `batch` ends, all of which has been emitted."""
        window, effort = batch.window, batch.effort
        self.write_record(
            {
                "runId": self.run_id,
                "stream": stream,
                "windowFrom": to_text(window.start),
                "windowTo": to_text(window.end),
                "reason": window.reason.value,
                "messages": messages,
                "rejected": rejected,
                "pages": effort.pages,
                "requests": effort.requests,
                "retries": effort.retries,
                "seconds": round(effort.seconds, 3),
                "confirmed": effort.confirmed,
                "refused": batch.refusal is not None,
                "readAt": to_text(now()),
            }
        )
