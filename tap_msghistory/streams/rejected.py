"""Messages that cannot be shaped: kept whole, beside the streams that they would have been in."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from singer_sdk.schema.source import StreamSchema

from tap_msghistory.errors import FatalError
from tap_msghistory.records import Rejected
from tap_msghistory.schemas import SCHEMAS
from tap_msghistory.streams.side import SideStream
from tap_msghistory.timestamps import now, to_text

if TYPE_CHECKING:
    from tap_msghistory.tap import TapMessageHistory


class RejectedMessagesStream(SideStream):
    """What the histories had that has no identifier or no readable send time."""

    name = "rejected_messages"
    schema: ClassVar[StreamSchema] = StreamSchema(SCHEMAS, key="rejected_message")
    primary_keys: ClassVar[tuple[str, ...]] = ("rejectionId",)

    def __init__(self, tap: TapMessageHistory) -> None:
        """Begin with nothing rejected."""
        super().__init__(tap)
        self._max_rejected: int | None = self.config.get("max_rejected")
        self._rejected = 0

    @property
    def whereabouts(self) -> str:
        """Say where rejected messages are, or that they are nowhere."""
        if self.selected:
            return f"they are in the stream {self.name}"
        return f"they are LOST, as the stream {self.name} is not selected"

    def write(self, stream: str, rejected: list[Rejected]) -> None:
        """Emit what a window of `stream` had. Raises `FatalError` above `max_rejected`, for all streams."""
        for it in rejected:
            self.write_record(_record(stream, it))
        self._rejected += len(rejected)
        if self._max_rejected is not None and self._rejected > self._max_rejected:
            raise FatalError(
                f"{self._rejected} messages could not be shaped, which is more than max_rejected "
                f"({self._max_rejected}); {self.whereabouts}; the last reason: {rejected[-1].reason}"
            )


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
