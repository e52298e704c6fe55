"""Streams without messages of their own: the message histories write to them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from singer_sdk import Stream, Tap
from singer_sdk.helpers.conform import TypeConformanceLevel

from tap_msghistory.syncing.declarations import AuxiliaryDeclaration

if TYPE_CHECKING:
    from singer_sdk.helpers.types import Context, Record


class AuxiliaryStream(Stream):
    """A stream whose records are written before the bookmark of the corresponding history advances."""

    schema: dict[str, Any]

    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: Tap, declaration: AuxiliaryDeclaration) -> None:
        """Create the stream as the run declares it; its schema is written before its first record."""
        super().__init__(tap)
        self.schema, self.primary_keys = declaration.schema, declaration.primary_keys
        self._is_announced = False

    def write_record(self, record: Record) -> list[Record]:
        """Emit a record.

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
        """Yield nothing: all records have been written by the time the SDK syncs this stream."""
        return ()

    def _write_schema_message(self) -> None:
        """Write the schema once, although the SDK requests it again."""
        if not self._is_announced:
            self._is_announced = True
            super()._write_schema_message()
