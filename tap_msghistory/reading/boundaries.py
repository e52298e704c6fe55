"""Deduplicates messages across the windows of one run."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

from tap_msghistory.reading.batches import BOUNDARY_SLACK, Batch, Boundary
from tap_msghistory.reading.layout import Layout
from tap_msghistory.timestamps import to_text

#: Maximum number of shared keys remembered for the rest of a run.
_MAX_SHARED_KEYS = 100_000


class BoundaryDeduplicator:
    """Removes messages that the previous window already contained.

    Adjacent windows share an instant, and vendors may filter more coarsely than by millisecond. If senders
    choose identifiers, a message is also rejected if a message of the previous window had its key, or if its
    key is known to be shared (at most `_MAX_SHARED_KEYS` keys are remembered).
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._previous = Boundary()
        self._previous_keys: set[Any] = set()
        self._shared_keys: set[Any] = set()
        message = layout.identity.message
        self._key_indexes = [message.index(name) for name in layout.identity.key]

    def deduplicate(self, batch: Batch) -> None:
        """Remove the messages that the previous window contained, and reject shared keys."""
        removed = self._remove_known(batch) if self._previous.fingerprints else []
        if self._layout.identity.keys_may_be_shared:
            self._reject_shared_keys(batch, removed)
        if batch.ends_window:
            self._previous = batch.boundary

    def _remove_known(self, batch: Batch) -> list[Any]:
        """Remove the messages that the previous window contained; return the records among them."""
        known, records, layout = self._previous.fingerprints, batch.records, self._layout
        near = len(records)
        if self._previous.only_near_end:
            near = bisect_right(records, to_text(batch.window.start + BOUNDARY_SLACK), key=layout.sent_at)
        new: list[Any] = []
        removed: list[Any] = []
        for record in records[:near]:
            (removed if layout.fingerprint(record) in known else new).append(record)
        if removed:
            batch.records = new + records[near:]
        batch.rejected = [item for item in batch.rejected if layout.fingerprint(item) not in known]
        return removed

    def _reject_shared_keys(self, batch: Batch, removed: list[Any]) -> None:
        key_of = self._layout.key_of
        shared = batch.keys & self._previous_keys | batch.keys & self._shared_keys
        if shared.difference(map(key_of, removed)):
            batch.rejected += [
                self._layout.reject_shared_key(record) for record in batch.records if key_of(record) in shared
            ]
            batch.records = [record for record in batch.records if key_of(record) not in shared]
        for item in batch.rejected:
            if item.identity is not None and len(self._shared_keys) < _MAX_SHARED_KEYS:
                key = tuple(item.identity[index] for index in self._key_indexes)
                self._shared_keys.add(key if len(key) > 1 else key[0])
        if batch.ends_window:
            self._previous_keys = batch.keys
