"""The columns of a stream's records, their order, and their identity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec

from tap_msghistory.reading.records import EXTRA_FIELDS, Rejected, record_type
from tap_msghistory.reading.spool import SpooledRecord

SHARED_KEY = "another message has the same identifier"

encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Identity:
    """The properties that distinguish records.

    `key` is the primary key in a warehouse. If senders choose identifiers, different messages may share a
    key; `message` contains the properties that also distinguish those.
    """

    key: tuple[str, ...]
    message: tuple[str, ...]

    @property
    def keys_may_be_shared(self) -> bool:
        """Whether different messages may have the same key."""
        return self.key != self.message


class Layout:
    """Reads the send time, the key and the identity of a stream's records.

    `constants` are the values of columns that are the same in all records.
    """

    def __init__(
        self,
        schema: Mapping[str, Any],
        *,
        identity: Identity,
        replication_key: str,
        constants: Mapping[str, str] | None = None,
    ) -> None:
        self.schema = schema
        self.constants = constants or {}
        self.identity = identity
        self.sent_at: Callable[[Any], str] = attrgetter(replication_key)
        self.record_identity: Callable[[Any], Any] = attrgetter(*identity.message)
        self.key_of: Callable[[Any], Any] = attrgetter(*identity.key)
        self._rest = [name for name in identity.message if name != "messageId"]
        self._decode = msgspec.json.Decoder(self.record_type()).decode

    def record_type(self, *, from_vendor: bool = False) -> type[msgspec.Struct]:
        """Return the type of the records; `from_vendor`: a type that decodes vendors' rows."""
        return record_type(self.schema, self.constants, from_vendor=from_vendor)

    def identity_of(self, item: Any) -> Any:
        """Return the identity of a record or of a rejected row."""
        if type(item) is Rejected:
            return encode(item.row) if item.identity is None else item.identity
        return self.record_identity(item)

    def fingerprint(self, item: Any) -> int:
        """Return a hash of the identity of a record or a rejected row.

        Identities are encoded first because Python hashes bytes with a keyed 64-bit hash, whereas hashes of
        integers collide: hash(-1) == hash(-2).
        """
        return hash(encode(self.identity_of(item)))

    def sort_key(self, record: Any) -> tuple[Any, ...]:
        """Return the sort key of a record: send time, identifier, and the rest of the identity."""
        return (self.sent_at(record), record.messageId, self._rest_of(record))

    def to_spooled(self, record: Any) -> SpooledRecord:
        """Return a record in the form that a spool stores."""
        sent_at, id_, rest = self.sort_key(record)
        return SpooledRecord(sent_at, id_, rest, encode(self.key_of(record)), encode(record))

    def from_spooled(self, spooled: SpooledRecord) -> Any:
        """Decode a record that was stored in a spool."""
        return self._decode(spooled.record)

    def reject_shared_key(self, record: Any) -> Rejected:
        """Reject a record because another message has its key."""
        row = {name: value for name, value in msgspec.structs.asdict(record).items() if value is not None}
        row |= row.pop(EXTRA_FIELDS, {})
        return Rejected(row, SHARED_KEY, self.record_identity(record))

    def _rest_of(self, record: Any) -> str:
        return "\n".join(getattr(record, name) or "" for name in self._rest)


class Identities(Sequence[Any]):
    """The identities of a page's rows. They are computed on access, because few are used."""

    def __init__(self, items: Sequence[Any], layout: Layout) -> None:
        self._items = items
        self._identity = layout.identity_of

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._items)

    def __getitem__(self, index: Any) -> Any:
        """Return the identity of one row."""
        return self._identity(self._items[index])
