"""The stream of invalid messages, with the reason for their rejection."""

from __future__ import annotations

from typing import Any

import msgspec
from singer_sdk import Tap

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
        self._rejections = run.rejections
        self._as_text: bool = tap.config["objects_as_json"]
        if self._as_text:
            self.schema = with_objects_as_text(self.schema)

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Emit rejected messages, and count those that a stream map or the selection discards."""
        self._rejections.is_selected = self.selected
        for row in rows:
            if self._as_text:
                row["message"] = msgspec.json.encode(row["message"]).decode()
            self._rejections.discarded += not any(map(_has_message, self.write_record(row)))


def _has_message(record: dict[str, Any]) -> bool:
    # Flattening splits the column into several whose names start with its name.
    return any(name.startswith("message") for name in record)
