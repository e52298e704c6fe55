"""Objects shared by the syncs of one run."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Any
from uuid import uuid4

from tap_msghistory import vendors
from tap_msghistory.config.account import Account
from tap_msghistory.config.validation import hint
from tap_msghistory.errors import FatalError, TapError
from tap_msghistory.reading.batches import Batch
from tap_msghistory.reading.records import Rejected
from tap_msghistory.reading.source import HistorySource
from tap_msghistory.syncing.declarations import AuxiliaryDeclaration, StreamDeclaration
from tap_msghistory.syncing.failures import Failures
from tap_msghistory.syncing.ledger import SYNC_WINDOWS, ledger_row
from tap_msghistory.syncing.progress import Progress
from tap_msghistory.syncing.rejections import REJECTED_MESSAGES, Rejections, rejection_row

logger = logging.getLogger("tap-msghistory.run")


class SyncRun:
    """The account and the bookkeeping of one run."""

    def __init__(self, account: Account, *, aborts: tuple[type[Exception], ...] = ()) -> None:
        """Start a run. The exceptions in `aborts` end it, and are not failures of a stream."""
        self.account = account
        self.id = str(uuid4())
        self.progress = Progress()
        self.failures = Failures(self.progress, aborts)
        self.rejections = Rejections(account.config.get("max_rejected"))
        self.rejected_messages, self.sync_windows = REJECTED_MESSAGES, SYNC_WINDOWS
        if account.constants:
            self.rejected_messages = self.rejected_messages.with_account()
            self.sync_windows = self.sync_windows.with_account()

    @cached_property
    def sources(self) -> list[HistorySource]:
        """The enabled message histories."""
        return [source_type(self.account) for source_type in vendors.enabled_sources(self.account.config)]

    @property
    def auxiliary(self) -> list[AuxiliaryDeclaration]:
        """The declarations of the streams that accompany the histories."""
        return [self.rejected_messages, self.sync_windows]

    @property
    def streams(self) -> list[StreamDeclaration]:
        """The declarations of all streams."""
        return [*self.auxiliary, *self.sources]

    def check_rereads(self, name: str) -> None:
        """Raise `FatalError` if the setting `reread` names a stream that is not enabled.

        `name`, the stream that is read, counts as enabled.
        """
        enabled = {name, *(source.name for source in self.sources)}
        for range_ in self.account.settings.rereads:
            if range_.stream not in enabled:
                raise FatalError(
                    f"Setting reread: {range_.stream} is not an enabled stream{hint(range_.stream, enabled)}"
                )

    def refuse_rereads(self, mode: str) -> None:
        """Raise `TapError` if the setting `reread` is used, because `mode` replaces tables."""
        if self.account.settings.rereads:
            raise TapError(
                f"Setting reread cannot be combined with {mode}, which would delete all other messages"
            )

    def warn_about_unknown_bookmarks(self, names: Iterable[str]) -> None:
        """Log a warning for each bookmark whose name is not a stream of the tap under any settings."""
        known = [source.name for source in vendors.SOURCES] + [stream.name for stream in self.auxiliary]
        for name in names:
            if name not in known:
                logger.warning(
                    "The state has a bookmark for %s, which is not a stream of this tap%s",
                    name,
                    hint(str(name), known),
                )

    def warn_if_nothing_is_selected(self, names: Collection[str]) -> None:
        """Log a warning if none of the selected streams is a history."""
        if not any(source.name in names for source in self.sources):
            logger.warning("No message history is selected, so nothing is read: check the catalog")

    def stream(self, name: str) -> StreamDeclaration:
        """Return the declaration of a stream. Raises `TapError` if the settings do not enable it."""
        for stream in self.streams:
            if stream.name == name:
                return stream
        raise self.absent_stream_error(name)

    def absent_stream_error(self, name: str) -> TapError:
        """Return the error of a stream that a catalog selects and the settings do not enable."""
        similar = hint(name, [stream.name for stream in self.streams])
        return TapError(
            f"The catalog selects {name}, which does not exist. Check its name, the credentials of its "
            f"vendor and, for partner_gateway_history_export, the setting partner_gateway_export{similar}"
        )

    def rejection_row(self, stream: str, rejected: Rejected) -> dict[str, Any]:
        """Return the row of a rejected message of `stream`. Its identifier is the same in every run."""
        return {**self.account.constants, **rejection_row(stream, rejected)}

    def ledger_row(self, stream: str, batch: Batch, *, messages: int, rejected: int) -> dict[str, Any]:
        """Return the row of the window that `batch` ends."""
        row = ledger_row(self.id, stream, batch, messages=messages, rejected=rejected)
        return {**self.account.constants, **row}
