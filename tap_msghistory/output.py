"""Singer messages to stdout."""

from __future__ import annotations

import os
import sys

from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.singerlib.encoding.simple import Message

from tap_msghistory.errors import TapError


class OutputError(TapError):
    """Stdout takes no more: its reader is gone, or the disk is full."""


class Writer(MsgSpecWriter):
    """Writes a line a message, and says in one line when it cannot."""

    def write_message(self, message: Message) -> None:
        """Write to stdout. Raises `OutputError`."""
        try:
            super().write_message(message)
        except BrokenPipeError as error:
            _discard_stdout()
            raise OutputError("Stdout was closed by its reader: the tap stops") from error
        except OSError as error:
            _discard_stdout()
            raise OutputError(f"Stdout takes no more ({error.strerror}): the tap stops") from error


def _discard_stdout() -> None:
    """Keep the interpreter from failing once more when it flushes stdout at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
