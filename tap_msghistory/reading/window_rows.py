"""The rows of one window: held in memory while they are few bytes, on disk beyond that.

However they are held, they come back in send order, each message once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import compress, count
from operator import attrgetter, eq
from typing import Any, TypeVar

import msgspec

from tap_msghistory.errors import ApiError
from tap_msghistory.planning.windows import Window
from tap_msghistory.reading.records import EXTRA_FIELDS, Identity, Rejected, record_type
from tap_msghistory.reading.spool import Message, Spool
from tap_msghistory.stats import Effort
from tap_msghistory.timestamps import to_text

T = TypeVar("T")

#: Bytes of response bodies that are held in memory for one window; usual messages stay below.
_MEMORY_BYTES = 12_000_000
#: Rows and bytes of a batch that comes from disk.
_BATCH_ROWS = 500
_BATCH_BYTES = 2_000_000
#: Times of a response may be cut to seconds, and a vendor may select by a time near the send time.
BOUNDARY_SLACK = timedelta(minutes=2)
#: A send time further than this outside of the window that was asked for is reported.
_FAR = timedelta(days=2)
SHARED_KEY = "another message has the same identifier"

_id_of = attrgetter("messageId")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Boundary:
    """What the next window may bring again."""

    hashes: Collection[int] = ()  #: of identities
    #: Whether only messages sent near the end of the window are among them.
    is_sharp: bool = True


@dataclass(slots=True)
class Batch:
    """Records of a window, in send order, each message once, in its latest version."""

    window: Window
    effort: Effort
    records: list[Any] = field(default_factory=list)  #: Structs with the schema's columns
    rejected: list[Rejected] = field(default_factory=list)
    keys: set[Any] = field(default_factory=set)  #: of the records, where different messages may share one
    ends_window: bool = True  #: False: another batch of the same window follows
    boundary: Boundary = field(default_factory=Boundary)  #: of the batch that ends a window
    refusal: ApiError | None = None  #: why the vendor does not show this window; None if it does


class Layout:
    """The columns of a stream's records, and what tells the records apart."""

    def __init__(self, schema: Mapping[str, Any], *, identity: Identity, sent_at: str) -> None:
        self.schema = schema
        self.identity = identity
        self.sent_at: Callable[[Any], str] = attrgetter(sent_at)
        self.identity_of: Callable[[Any], Any] = attrgetter(*identity.message)
        self.key_of: Callable[[Any], Any] = attrgetter(*identity.key)
        self._rest = [name for name in identity.message if name != "messageId"]
        self._decode = msgspec.json.Decoder(record_type(schema, extra_fields=dict[str, Any] | None)).decode

    def item_identity(self, item: Any) -> Any:
        """Return what tells a record, or a rejected row, from others."""
        return _encode(item.row) if type(item) is Rejected else self.identity_of(item)

    def order(self, record: Any) -> tuple[Any, ...]:
        """Return what records are ordered by: send time, identifier, and the rest of the identity."""
        return (self.sent_at(record), record.messageId, self._rest_of(record))

    def message(self, record: Any) -> Message:
        """Return a record as a spool takes it."""
        sent_at, id_, rest = self.order(record)
        return Message(sent_at, id_, rest, _encode(self.key_of(record)), _encode(record))

    def record(self, message: Message) -> Any:
        """Return a record that a spool gives back."""
        return self._decode(message.record)

    def share_key(self, record: Any) -> Rejected:
        """Return a record as rejected because its key belongs to another message."""
        row = {name: value for name, value in msgspec.structs.asdict(record).items() if value is not None}
        row |= row.pop(EXTRA_FIELDS, {})
        return Rejected(row, SHARED_KEY, self.identity_of(record))

    def _rest_of(self, record: Any) -> str:
        return "\n".join(getattr(record, name) or "" for name in self._rest)


class Identities(Sequence[Any]):
    """The identities of a page's rows, each made when it is needed: few are."""

    def __init__(self, items: Sequence[Any], layout: Layout) -> None:
        self._items = items
        self._identity = layout.item_identity

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._items)

    def __getitem__(self, place: Any) -> Any:
        """Return the identity of one row."""
        return self._identity(self._items[place])


class WindowRows:
    """Takes a window's rows in any order. For one thread at a time. Methods raise `SpoolError`."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._bytes = 0
        self._rows: dict[Any, Any] = {}  # by name; of a row that comes twice, the later version
        self._shares_ids = False  # different messages have the same messageId
        self._spool: Spool | None = None
        self._spooled: set[int] = set()  # hashes of identities

    def __len__(self) -> int:
        """Count the different rows."""
        return len(self._rows) + len(self._spooled)

    def add(self, items: Sequence[Any], size: int) -> int:
        """Take a page's rows, `size` bytes of them; return how many had not been here."""
        before = len(self)
        self._bytes += size
        self._rows.update(zip(self._names(items), items, strict=True))
        if self._spool is None and self._bytes > _MEMORY_BYTES:
            self._spool = Spool()
        if self._spool is not None:
            self._spooled.update(hash(self._layout.item_identity(item)) for item in self._rows.values())
            spool_items(self._spool, self._rows.values(), self._layout)
            self._rows.clear()
        return len(self) - before

    def hashes(self) -> set[int]:
        """Return the hashes of all identities."""
        if self._spool is not None:
            return self._spooled
        return {hash(self._layout.item_identity(item)) for item in self._rows.values()}

    def absorb(self, earlier: WindowRows) -> None:
        """Add the rows of an earlier reading that are not in this one."""
        here = {*self.hashes()}
        for item in earlier._items():
            if hash(self._layout.item_identity(item)) not in here:
                self.add([item], 0)

    def send_times(self) -> list[str]:
        """Return the send times of all records in order."""
        if self._spool is not None:
            return self._spool.send_times()
        return sorted(map(self._layout.sent_at, self._records()))

    def batches(self, window: Window, effort: Effort) -> Iterator[Batch]:
        """Yield everything in send order and let go of the disk; one batch if all is in memory."""
        if self._spool is not None:
            self._spool.finish()
            yield from spooled_batches(self._spool, self._layout, window, effort)
            return
        records, times = self._in_send_order(self._records())
        effort.outside += _count_far(times, window)
        near_end = _near_end(window, times[:1] + times[-1:])
        hashes = {hash(self._layout.identity_of(it)) for it in records[bisect_left(times, near_end) :]}
        rejected = []
        if len(records) < len(self._rows):
            rejected = [item for item in self._rows.values() if type(item) is Rejected]
            hashes.update(hash(self._layout.item_identity(item)) for item in rejected)
        keys: set[Any] = set()
        if self._layout.identity.keys_may_be_shared:
            # The names are the keys, which are hashed already.
            keys = set(self._rows)
            if self._shares_ids:
                records, shared = _without_shared_keys(records, self._layout)
                rejected += shared
        self._rows = {}
        boundary = Boundary(hashes, is_sharp=near_end != "")
        yield Batch(window, effort, records, rejected, keys, boundary=boundary)

    def _records(self) -> list[Any]:
        items = [*self._rows.values()]
        if Rejected in map(type, items):
            return [item for item in items if type(item) is not Rejected]
        return items

    def _names(self, items: Sequence[Any]) -> list[Any]:
        """Return what each row is kept by.

        That is the messageId, or the whole identity where another message has the same messageId: tuples
        for all would take a sixth of a sync's time.
        """
        identity, rows = self._layout.item_identity, self._rows
        if Rejected in map(type, items):
            names = [identity(item) if type(item) is Rejected else item.messageId for item in items]
        else:
            names = [*map(_id_of, items)]
        known = rows.keys() & names
        is_unique = len({*names}) == len(names)
        first: dict[Any, Any] = {}
        for place in compress(count(), map(known.__contains__, names)) if is_unique else range(len(names)):
            name, item = names[place], items[place]
            other = rows.get(name, first.setdefault(name, item))
            if identity(other) != identity(item):
                names[place] = identity(item)
                self._shares_ids = True
        return names

    def _items(self) -> Iterator[Any]:
        if self._spool is None:
            yield from self._rows.values()
            return
        yield from map(self._layout.record, self._spool.messages())
        for row, reason in self._spool.rejected():
            yield Rejected(_decode(row), reason)

    def _in_send_order(self, records: list[Any]) -> tuple[list[Any], list[str]]:
        """Sort by send time, and records of the same time by identity; also return the times."""
        records.sort(key=self._layout.sent_at)
        times = [*map(self._layout.sent_at, records)]
        # Sorting all by identity would take five times as long.
        done = 0
        for place in compress(count(), map(eq, times, times[1:])):
            if place >= done:
                done = bisect_right(times, times[place])
                records[place:done] = sorted(records[place:done], key=self._layout.order)
        return records, times


def spool_items(spool: Spool, items: Iterable[Any], layout: Layout) -> None:
    """Put records, and what was rejected, into a spool."""
    items = [*items]
    spool.add(layout.message(item) for item in items if type(item) is not Rejected)
    spool.reject((_encode(item.row), item.reason) for item in items if type(item) is Rejected)


def spooled_batches(spool: Spool, layout: Layout, window: Window, effort: Effort) -> Iterator[Batch]:
    """Yield the contents of a finished spool in send order, a few hundred at a time, and close it."""
    near_end = _near_end(window, spool.first_and_last() or ())
    hashes: set[int] = set()
    try:
        for rejections in _parts(spool.rejected(), lambda rejection: len(rejection[0])):
            hashes.update(hash(row) for row, _ in rejections)
            rejected = [Rejected(_decode(row), reason) for row, reason in rejections]
            yield Batch(window, effort, rejected=rejected, ends_window=False)
        shared, owned = spool.shared_keys() if layout.identity.keys_may_be_shared else set(), set()
        for messages in _parts(spool.messages(), lambda message: len(message.record)):
            batch = Batch(window, effort, ends_window=False)
            for message in messages:
                record = layout.record(message)
                if message.sent_at >= near_end:
                    hashes.add(hash(layout.identity_of(record)))
                if message.key in owned:
                    batch.rejected.append(layout.share_key(record))
                    continue
                if message.key in shared:
                    owned.add(message.key)
                batch.records.append(record)
            if layout.identity.keys_may_be_shared:
                batch.keys = {*map(layout.key_of, batch.records)}
            effort.outside += _count_far([message.sent_at for message in messages], window)
            yield batch
        yield Batch(window, effort, boundary=Boundary(hashes, is_sharp=near_end != ""))
    finally:
        spool.close()


def _without_shared_keys(records: list[Any], layout: Layout) -> tuple[list[Any], list[Rejected]]:
    """Leave each key to the first message that has it; `records` are in order."""
    kept: dict[Any, Any] = {}
    shared = []
    for record in records:
        key = layout.key_of(record)
        if key in kept:
            shared.append(layout.share_key(record))
        else:
            kept[key] = record
    return [*kept.values()], shared


def _near_end(window: Window, first_and_last: Sequence[str]) -> str:
    """Return the send time from which on the next window may bring messages again.

    A vendor that selects by another time, or only by whole days, may bring any of them.
    """
    if first_and_last and (
        first_and_last[0] < to_text(window.start - BOUNDARY_SLACK)
        or first_and_last[-1] > to_text(window.end + BOUNDARY_SLACK)
    ):
        return ""
    return to_text(window.end - BOUNDARY_SLACK)


def _count_far(times: Sequence[str], window: Window) -> int:
    """Count the times, in order, that lie far outside of a window."""
    before = bisect_left(times, to_text(window.start - _FAR))
    return before + len(times) - bisect_right(times, to_text(window.end + _FAR))


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
