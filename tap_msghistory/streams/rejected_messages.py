"""Invalid messages, with the reason for their rejection."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

import msgspec
from singer_sdk import Tap

from tap_msghistory.errors import FatalError
from tap_msghistory.reading.records import Rejected
from tap_msghistory.schemas import load_schema, with_objects_as_text
from tap_msghistory.streams.auxiliary import AuxiliaryStream
from tap_msghistory.timestamps import now, to_text


class RejectedMessagesStream(AuxiliaryStream):
    """Messages without a usable identifier or send time, and messages that share their identifier."""

    name = "rejected_messages"
    schema = load_schema("rejected_message")
    primary_keys: ClassVar[tuple[str, ...]] = ("rejectionId",)
    replication_key = None
    selected_by_default = True

    def __init__(self, tap: Tap) -> None:
        """Create the stream, with the message as text if `objects_as_json` is set."""
        super().__init__(tap)
        self._as_text: bool = tap.config["objects_as_json"]
        if self._as_text:
            self.schema = with_objects_as_text(self.schema)
        self._max_rejected: int | None = tap.config.get("max_rejected")
        self._rejected = 0
        self._discarded = 0

    @property
    def location(self) -> str:
        """A clause for log lines: the stream with the rejected messages, or that they were discarded."""
        if not self.selected:
            return f"they were DISCARDED because the stream {self.name} is not selected"
        if self._discarded:
            return (
                f"{self._discarded} of the {self._rejected} rejected messages of this run were DISCARDED by "
                f"a stream map, a filter or the catalog's selection for the stream {self.name}"
            )
        return f"they are in the stream {self.name}"

    def write(self, stream: str, rejected: list[Rejected]) -> None:
        """Emit the rejected messages of a batch of `stream`.

        Raises `FatalError` if all streams together have more than `max_rejected`.
        """
        for message in rejected:
            record = _record(stream, message)
            if self._as_text:
                record["message"] = msgspec.json.encode(record["message"]).decode()
            emitted = self.write_record(record)
            self._discarded += not any(map(_has_message, emitted))
        self._rejected += len(rejected)
        if self._max_rejected is not None and self._rejected > self._max_rejected:
            raise FatalError(
                f"{self._rejected} messages are invalid, which exceeds max_rejected ({self._max_rejected}); "
                f"{self.location}; the last reason: {rejected[-1].reason}"
            )


def _has_message(record: dict[str, Any]) -> bool:
    # Flattening splits the column into several whose names start with its name.
    return any(name.startswith("message") for name in record)


def _record(stream: str, rejected: Rejected) -> dict[str, Any]:
    identity = rejected.row if rejected.identity is None else rejected.identity
    content = msgspec.json.encode([stream, identity], order="sorted")
    return {
        "rejectionId": hashlib.sha256(content).hexdigest(),
        "stream": stream,
        "reason": rejected.reason,
        "rejectedAt": to_text(now()),
        "message": rejected.row,
    }
