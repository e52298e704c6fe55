"""Objects shared by the syncs of one run."""

from __future__ import annotations

from uuid import uuid4

from tap_msghistory.config.account import Account
from tap_msghistory.syncing.failures import Failures
from tap_msghistory.syncing.progress import Progress
from tap_msghistory.syncing.rejections import Rejections


class SyncRun:
    """The account and the bookkeeping of one run."""

    def __init__(self, account: Account, *, aborts: tuple[type[Exception], ...] = ()) -> None:
        """Start a run. The exceptions in `aborts` end it, and are not failures of a stream."""
        self.account = account
        self.id = str(uuid4())
        self.progress = Progress()
        self.failures = Failures(self.progress, aborts)
        self.rejections = Rejections(account.config.get("max_rejected"))
