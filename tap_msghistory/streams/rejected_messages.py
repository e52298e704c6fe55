"""Messages that cannot be shaped: kept whole, beside the streams that they would have been in."""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from tap_msghistory.errors import FatalError
from tap_msghistory.reading.records import Rejected
from tap_msghistory.schemas import SCHEMAS, with_objects_as_text
from tap_msghistory.streams.auxiliary import SideStream
from tap_msghistory.timestamps import now, to_text

if TYPE_CHECKING:
    from tap_msghistory.tap import TapMessageHistory


class RejectedMessagesStream(SideStream):
    """What the histories had that has no identifier or no readable send time."""

    name = "rejected_messages"
    primary_keys: ClassVar[tuple[str, ...]] = ("rejectionId",)

    def __init__(self, tap: TapMessageHistory) -> None:
        """Begin with nothing rejected."""
        super().__init__(tap)
        self._max_rejected: int | None = self.config.get("max_rejected")
        self._rejected = 0
        self._discarded = 0

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The schema, with the message as text if `objects_as_json` is set."""
        schema = SCHEMAS.get_schema("rejected_message")
        return with_objects_as_text(schema) if self.config["objects_as_json"] else schema

    @property
    def whereabouts(self) -> str:
        """Report where rejected messages are, and how many were discarded."""
        if not self.selected:
            return f"they were DISCARDED because the stream {self.name} is not selected"
        if self._discarded:
            return (
                f"{self._discarded} of the {self._rejected} rejected messages of this run were DISCARDED by "
                f"a stream map, a filter or the catalog's selection for the stream {self.name}"
            )
        return f"they are in the stream {self.name}"

    def write(self, stream: str, rejected: list[Rejected]) -> None:
        """Emit what a window of `stream` had. Raises `FatalError` above `max_rejected`, for all streams."""
        for message in rejected:
            record = _record(stream, message)
            if self.config["objects_as_json"]:
                record["message"] = msgspec.json.encode(record["message"]).decode()
            emitted = self.write_record(record)
            self._discarded += not any(map(_holds_message, emitted))
        self._rejected += len(rejected)
        if self._max_rejected is not None and self._rejected > self._max_rejected:
            raise FatalError(
                f"{self._rejected} messages could not be shaped, which is more than max_rejected "
                f"({self._max_rejected}); {self.whereabouts}; the last reason: {rejected[-1].reason}"
            )


def _holds_message(record: dict[str, Any]) -> bool:
    # Flattened, the column becomes several whose names begin with its own.
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
