"""The stream of invalid messages, with the reason for their rejection."""

from __future__ import annotations

from typing import Any

import msgspec
from singer_sdk import Tap

from tap_msghistory.reading.records import Rejected
from tap_msghistory.schemas import with_objects_as_text
from tap_msghistory.streams.auxiliary import AuxiliaryStream
from tap_msghistory.syncing.rejections import REJECTED_MESSAGES
from tap_msghistory.syncing.run import SyncRun


class RejectedMessagesStream(AuxiliaryStream):
    """Messages without a usable identifier or send time, and messages that share their identifier."""

    name = "rejected_messages"
    schema = REJECTED_MESSAGES.schema
    primary_keys = REJECTED_MESSAGES.primary_keys
    replication_key = None
    selected_by_default = True

    def __init__(self, tap: Tap, run: SyncRun) -> None:
        """Create the stream, with the message as text if `objects_as_json` is set."""
        super().__init__(tap, run.rejected_messages)
        self._run = run
        self._as_text: bool = tap.config["objects_as_json"]
        if self._as_text:
            self.schema = with_objects_as_text(self.schema)

    def write(self, stream: str, rejected: list[Rejected]) -> None:
        """Emit the rejected messages of a batch of `stream`.

        Raises `FatalError` if all streams together have more than `max_rejected`.
        """
        if not rejected:
            return
        self._run.rejections.is_selected = self.selected
        discarded = 0
        for message in rejected:
            row = self._run.rejection_row(stream, message)
            if self._as_text:
                row["message"] = msgspec.json.encode(row["message"]).decode()
            discarded += not any(map(_has_message, self.write_record(row)))
        self._run.rejections.count(rejected, discarded=discarded)


def _has_message(record: dict[str, Any]) -> bool:
    # Flattening splits the column into several whose names start with its name.
    return any(name.startswith("message") for name in record)
