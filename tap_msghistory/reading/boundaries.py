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
        if self._previous.fingerprints:
            self._remove_known(batch)
        if self._layout.identity.keys_may_be_shared:
            self._reject_shared_keys(batch)
        if batch.ends_window:
            self._previous = batch.boundary

    def _remove_known(self, batch: Batch) -> None:
        known, records, layout = self._previous.fingerprints, batch.records, self._layout
        near = len(records)
        if self._previous.only_near_end:
            near = bisect_right(records, to_text(batch.window.start + BOUNDARY_SLACK), key=layout.sent_at)
        new = [record for record in records[:near] if layout.fingerprint(record) not in known]
        if len(new) < near:
            batch.records = new + records[near:]
        batch.rejected = [item for item in batch.rejected if layout.fingerprint(item) not in known]

    def _reject_shared_keys(self, batch: Batch) -> None:
        previous, shared = self._previous_keys, self._shared_keys
        if not (previous.isdisjoint(batch.keys) and shared.isdisjoint(batch.keys)):
            kept = []
            for record in batch.records:
                key = self._layout.key_of(record)
                if key in previous or key in shared:
                    batch.rejected.append(self._layout.reject_shared_key(record))
                else:
                    kept.append(record)
            batch.records = kept
        for item in batch.rejected:
            if item.identity is not None and len(self._shared_keys) < _MAX_SHARED_KEYS:
                key = tuple(item.identity[index] for index in self._key_indexes)
                self._shared_keys.add(key if len(key) > 1 else key[0])
        if batch.ends_window:
            self._previous_keys = batch.keys
