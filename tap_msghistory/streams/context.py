"""Objects shared by the streams of one run."""

from __future__ import annotations

from dataclasses import dataclass

from tap_msghistory.config.account import Account
from tap_msghistory.streams.failures import Failures
from tap_msghistory.streams.progress import Progress
from tap_msghistory.streams.rejected_messages import RejectedMessagesStream
from tap_msghistory.streams.sync_windows import SyncWindowsStream
from tap_msghistory.streams.writer import Writer


@dataclass(frozen=True, slots=True)
class SyncContext:
    """The account, the auxiliary streams and the bookkeeping of one run."""

    account: Account
    progress: Progress
    failures: Failures
    writer: Writer | None  #: None: messages are not written to stdout
    rejected_messages: RejectedMessagesStream
    sync_windows: SyncWindowsStream

    def check_output(self) -> None:
        """Raise `OutputError` if the consumer of the messages has closed the pipe."""
        if self.writer is not None:
            self.writer.check()
