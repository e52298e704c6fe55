"""Objects shared by the streams of one run."""

from __future__ import annotations

from dataclasses import dataclass

from tap_msghistory.streams.rejected_messages import RejectedMessagesStream
from tap_msghistory.streams.sync_windows import SyncWindowsStream
from tap_msghistory.streams.writer import Writer
from tap_msghistory.syncing.run import SyncRun


@dataclass(frozen=True, slots=True)
class SyncContext:
    """The run, its output and its auxiliary streams."""

    run: SyncRun
    writer: Writer | None  #: None: messages are not written to stdout
    rejected_messages: RejectedMessagesStream
    sync_windows: SyncWindowsStream

    def check_output(self) -> None:
        """Raise `OutputError` if the consumer of the messages has closed the pipe."""
        if self.writer is not None:
            self.writer.check()
