"""Writes Singer messages to stdout."""

from __future__ import annotations

from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.singerlib import SchemaMessage
from singer_sdk.singerlib.encoding.simple import Message

from tap_msghistory.output import LineWriter
from tap_msghistory.schemas import portable


class Writer(LineWriter, MsgSpecWriter):
    """Writes one line per message."""

    def write_message(self, message: Message) -> None:
        """Write a line to stdout. Raises `OutputError`."""
        if isinstance(message, SchemaMessage):
            message.schema = portable(message.schema)
        self.write_lines(self.format_message(message))
