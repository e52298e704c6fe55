"""Messages that cannot be shaped: kept whole, beside the streams that they would have been in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from singer_sdk import Stream
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.schema.source import StreamSchema

from tap_msghistory.errors import TapError
from tap_msghistory.records import Rejected
from tap_msghistory.schemas import SCHEMAS
from tap_msghistory.timestamps import now, to_text

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context, Record

    from tap_msghistory.tap import TapMessageHistory


class RejectedMessagesStream(Stream):
    """Has no records of its own to read: the history streams write here, before their state moves on."""

    name = "rejected_messages"
    schema: ClassVar[StreamSchema] = StreamSchema(SCHEMAS, key="rejected_message")
    primary_keys: ClassVar[tuple[str, ...]] = ("rejectionId",)
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: TapMessageHistory) -> None:
        """Begin with nothing rejected."""
        super().__init__(tap)
        self._max_rejected: int | None = self.config.get("max_rejected")
        self._rejected = 0
        self._is_announced = False

    @property
    def whereabouts(self) -> str:
        """Say where rejected messages are, or that they are nowhere."""
        if self.selected:
            return f"they are in the stream {self.name}"
        return f"they are LOST, as the stream {self.name} is not selected"

    def write(self, stream: str, rejected: list[Rejected]) -> None:
        """Emit what a window of `stream` had. Raises `TapError` above `max_rejected`."""
        if self.selected and not self._is_announced:
            self._is_announced = True
            self._write_schema_message()
        for it in rejected if self.selected else ():
            self._write_record_message(_record(stream, it))
        self._rejected += len(rejected)
        if self._max_rejected is not None and self._rejected > self._max_rejected:
            raise TapError(
                f"{self._rejected} messages could not be shaped, which is more than max_rejected "
                f"({self._max_rejected}); {self.whereabouts}; the last reason: {rejected[-1].reason}"
            )

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002
        """Yield nothing: by the time that the SDK comes here, all has been written."""
        return ()


def _record(stream: str, rejected: Rejected) -> dict[str, Any]:
    content = msgspec.json.encode([stream, rejected.row], order="sorted")
    return {
        "rejectionId": hashlib.sha256(content).hexdigest(),
        "stream": stream,
        "reason": rejected.reason,
        "rejectedAt": to_text(now()),
        "message": rejected.row,
    }
