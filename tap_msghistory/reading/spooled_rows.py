"""The rows of one window, sorted on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from tap_msghistory.planning.windows import Window
from tap_msghistory.reading.batches import Batch, Boundary, boundary_start, count_outside
from tap_msghistory.reading.layout import Layout, encode
from tap_msghistory.reading.records import Rejected
from tap_msghistory.reading.spool import Spool
from tap_msghistory.stats import WindowStats

T = TypeVar("T")

_BATCH_ROWS = 500
_BATCH_BYTES = 2_000_000
#: Maximum number of keys of a window that are compared with the next window.
_MAX_KEYS = 100_000

_decode = msgspec.json.Decoder().decode


class SpooledRows:
    """Stores a window's rows in a temporary database. One thread at a time. Methods raise `SpoolError`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._spool = Spool()

    def add(self, items: Iterable[Any]) -> None:
        """Store records and rejected rows."""
        items = [*items]
        self._spool.add(self._layout.to_spooled(item) for item in items if type(item) is not Rejected)
        self._spool.reject((encode(item.row), item.reason) for item in items if type(item) is Rejected)

    def items(self) -> Iterator[Any]:
        """Yield all records, then all rejected rows."""
        yield from map(self._layout.from_spooled, self._spool.messages())
        for row, reason in self._spool.rejected():
            yield Rejected(_decode(row), reason)

    def send_times(self) -> list[str]:
        """Return the send times of all records in order."""
        return self._spool.send_times()

    def finish(self) -> None:
        """Drop older versions of messages; no rows can be added afterwards."""
        self._spool.finish()

    def batches(self, window: Window, stats: WindowStats) -> Iterator[Batch]:
        """Yield the rejected rows, then the records in send order, in small batches. Frees the disk space.

        Call `finish` first.
        """
        spool, layout = self._spool, self._layout
        fingerprints: set[int] = set()
        try:
            overlap_start = boundary_start(window, spool.first_and_last() or ())
            for rejections in _parts(spool.rejected(), lambda rejection: len(rejection[0])):
                rejected = [Rejected(_decode(row), reason) for row, reason in rejections]
                fingerprints.update(map(layout.fingerprint, rejected))
                yield Batch(window, stats, rejected=rejected, ends_window=False)
            shared = spool.shared_keys() if layout.identity.keys_may_be_shared else set()
            assigned: set[bytes] = set()
            keys: set[Any] = set()
            for messages in _parts(spool.messages(), lambda message: len(message.record)):
                batch = Batch(window, stats, ends_window=False)
                for message in messages:
                    record = layout.from_spooled(message)
                    if message.sent_at >= overlap_start:
                        fingerprints.add(layout.fingerprint(record))
                    if message.key in assigned:
                        batch.rejected.append(layout.reject_shared_key(record))
                        continue
                    if message.key in shared:
                        assigned.add(message.key)
                    batch.records.append(record)
                if layout.identity.keys_may_be_shared:
                    batch.keys = {*map(layout.key_of, batch.records)}
                    if len(keys) < _MAX_KEYS:
                        keys |= batch.keys
                stats.outside += count_outside([message.sent_at for message in messages], window)
                yield batch
            yield Batch(
                window, stats, keys=keys, boundary=Boundary(fingerprints, only_near_end=overlap_start != "")
            )
        finally:
            spool.close()

    def close(self) -> None:
        """Free the disk space."""
        self._spool.close()


def _parts(rows: Iterable[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    part: list[T] = []
    size = 0
    for row in rows:
        part.append(row)
        size += size_of(row)
        if len(part) == _BATCH_ROWS or size > _BATCH_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
