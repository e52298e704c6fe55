"""The stream of the ledger: one row per window."""

from __future__ import annotations

from tap_msghistory.streams.auxiliary import AuxiliaryStream
from tap_msghistory.syncing.ledger import SYNC_WINDOWS


class SyncWindowsStream(AuxiliaryStream):
    """Windows of send time that were read or refused."""

    name = "sync_windows"
    schema = SYNC_WINDOWS.schema
    primary_keys = SYNC_WINDOWS.primary_keys
    replication_key = None
    selected_by_default = True
