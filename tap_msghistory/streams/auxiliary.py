"""Streams that the message histories write to, beside their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from singer_sdk import Stream
from singer_sdk.helpers.conform import TypeConformanceLevel

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context, Record

    from tap_msghistory.tap import TapMessageHistory


class SideStream(Stream):
    """Has nothing of its own to read: histories write here, before their state moves on."""

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: TapMessageHistory) -> None:
        """Begin with nothing written."""
        super().__init__(tap)
        self._is_announced = False

    def write_record(self, record: Record) -> list[Record]:
        """Emit a record, and the schema before the first.

        Returns the records that were emitted: none if the stream is not selected or a stream map drops it.
        """
        if not self.selected:
            return []
        self._write_schema_message()
        messages = [*self._generate_record_messages(record)]
        for message in messages:
            self._tap.write_message(message)
        return [message.record for message in messages]

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002
        """Yield nothing: by the time that the SDK comes here, all has been written."""
        return ()

    def _write_schema_message(self) -> None:
        """Write it once, though the SDK asks for it again."""
        if not self._is_announced:
            self._is_announced = True
            super()._write_schema_message()
