"""What the windows of one run have in common: the instants at which they meet, and keys."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import msgspec

from tap_msghistory.reading.records import Rejected
from tap_msghistory.reading.window_rows import BOUNDARY_SLACK, Batch, Boundary, Layout
from tap_msghistory.timestamps import to_text

#: Keys that are remembered for the rest of a run because several messages have them.
_MAX_SHARED_KEYS = 100_000


class BoundaryDeduplicator:
    """Leaves out what the window before had too: windows share an instant, and vendors may select coarsely.

    Where senders choose identifiers, it also leaves a key to the first message that has it. Keys are
    compared with those of the window before, and with all that several messages were seen to share.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._before = Boundary()
        self._keys_before: set[Any] = set()
        self._shared_keys: set[Any] = set()
        message = layout.identity.message
        self._key_places = [message.index(name) for name in layout.identity.key]

    def leave_out(self, batch: Batch) -> None:
        """Take out of a batch what the window before had."""
        if self._before.hashes:
            self._leave_out_known(batch)
        if self._layout.identity.keys_may_be_shared:
            self._leave_keys_to_first(batch)
        if batch.ends_window:
            self._before = batch.boundary

    def _leave_out_known(self, batch: Batch) -> None:
        known, records, layout = self._before.hashes, batch.records, self._layout
        near = len(records)
        if self._before.is_sharp:
            near = bisect_right(records, to_text(batch.window.start + BOUNDARY_SLACK), key=layout.sent_at)
        new = [record for record in records[:near] if hash(layout.identity_of(record)) not in known]
        if len(new) < near:
            batch.records = new + records[near:]
        batch.rejected = [item for item in batch.rejected if _hash(item) not in known]

    def _leave_keys_to_first(self, batch: Batch) -> None:
        before, shared = self._keys_before, self._shared_keys
        if not (before.isdisjoint(batch.keys) and shared.isdisjoint(batch.keys)):
            kept = []
            for record in batch.records:
                key = self._layout.key_of(record)
                if key in before or key in shared:
                    batch.rejected.append(self._layout.share_key(record))
                else:
                    kept.append(record)
            batch.records = kept
        for item in batch.rejected:
            if item.identity is not None and len(self._shared_keys) < _MAX_SHARED_KEYS:
                key = tuple(item.identity[place] for place in self._key_places)
                self._shared_keys.add(key if len(key) > 1 else key[0])
        if batch.ends_window:
            # Of a window that comes in several batches, from disk, none are kept: there may be millions.
            self._keys_before = batch.keys


def _hash(rejected: Rejected) -> int:
    return hash(msgspec.json.encode(rejected.row) if rejected.identity is None else rejected.identity)
