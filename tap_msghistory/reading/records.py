"""One canonical record a message, whatever spelling the vendor uses.

What a record is stands in `schemas/*.json`. Beside a property, `x-spellings` lists the other names under
which the vendors' pages show it, `x-joined` marks a string that may come as a list of strings, and
`x-identifier` an identifier, which is the same in digits and as a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from tap_msghistory.reading.timestamp_normalizer import Moments
from tap_msghistory.schemas import types_of

Row = dict[str, Any]
Record = dict[str, Any]
Convert = Callable[[Any], Any]  # returns None for a value of an unexpected type

EXTRA_FIELDS = "extraFields"
_TYPES: dict[str, Any] = {
    "string": str,
    # What a warehouse's bigint holds.
    "integer": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    "number": int | float,
}
NoneType = type(None)  # in types from Python 3.10 on, but not for mypy's eyes


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that no record can hold, whole."""

    row: Row
    reason: str
    #: What stays the same when the message is read again; None: the row itself.
    identity: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """How records are told apart, by property names.

    `key` is the primary key in a warehouse. Where senders choose identifiers, different messages may share
    one: `message` are the properties that also distinguish those.
    """

    key: tuple[str, ...]
    message: tuple[str, ...]

    @property
    def keys_may_be_shared(self) -> bool:
        """Whether different messages may have the same key."""
        return self.key != self.message


@dataclass(frozen=True, slots=True)
class _Layout:
    """What is to be done with rows that have the same keys and types of values.

    Found once and used for thousands of rows: a look at each value of each row would be most of the
    tap's work. Each entry is a row's key and the property that it is.
    """

    copied: tuple[tuple[str, str], ...]
    converted: tuple[tuple[str, str, Convert], ...]
    extra: tuple[str, ...]


def record_type(schema: Mapping[str, Any], extra_fields: Any) -> type[msgspec.Struct]:
    """Return the type of a schema's records, with its columns in its order, each of them optional.

    `extra_fields` is the type of that column.
    """
    columns = [
        (name, extra_fields if name == EXTRA_FIELDS else _TYPES[json_type(declaration)] | None, None)
        for name, declaration in schema["properties"].items()
    ]
    # Without cycles to find, the garbage collector need not look at millions of records.
    return msgspec.defstruct("Record", columns, forbid_unknown_fields=True, gc=False)


def json_type(declaration: Mapping[str, Any]) -> str:
    """Return the JSON type of a property, which may be null besides."""
    (type_,) = (type_ for type_ in types_of(declaration) if type_ != "null")
    return type_


class Shaper:
    """Turns a vendor's row into a record with every property of the schema, or says why it cannot."""

    def __init__(
        self,
        schema: Mapping[str, Any],
        *,
        sent_at: str,
        assume_timezone: tzinfo,
        key: tuple[str, ...] = ("messageId",),
        id_fallback: str | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        """Name the property that holds the send time, the key, and what may stand for `messageId`.

        `defaults` are the values of properties that a row may lack.
        """
        self._declared = {name: it for name, it in schema["properties"].items() if name != EXTRA_FIELDS}
        self._empty = dict.fromkeys(schema["properties"])
        self._spellings = _spellings(self._declared)
        self.sent_at = sent_at
        self.id_fallback = id_fallback
        self.key = key
        self._defaults = dict(defaults or {})
        self.moments = Moments(assume_timezone)
        self._layout = lru_cache(maxsize=4096)(self._lay_out)

    def __call__(self, row: Row) -> Record | Rejected:
        """Shape one row; a field that the schema does not know is kept in `extraFields`.

        So is a known one of an unexpected type, and its own property is null.
        """
        layout = self._layout(tuple(row), tuple(map(type, row.values())))
        record: Record = self._empty.copy()
        for key, name in layout.copied:
            record[name] = row[key]
        extra = {key: row[key] for key in layout.extra} if layout.extra else {}
        for key, name, convert in layout.converted:
            record[name] = converted = convert(row[key])
            if converted is None:
                extra[key] = row[key]
        if extra:
            record[EXTRA_FIELDS] = extra
        if self.id_fallback and is_blank(record["messageId"]):
            record["messageId"] = record[self.id_fallback]
        for name, value in self._defaults.items():
            if is_blank(record[name]):
                record[name] = value
        for name in (*self.key, self.sent_at):
            if is_blank(record[name]):
                return Rejected(row, f"no readable {name}")
        return record

    def _lay_out(self, keys: tuple[str, ...], types: tuple[type, ...]) -> _Layout:
        chosen: dict[str, tuple[bool, int, str]] = {}
        for key, type_ in zip(keys, types, strict=True):
            # The pages themselves mix cases (tenantId, TenantId). A value goes before none, and then an
            # exact spelling before others.
            rank, name = self._spelling(key)
            if name is not None:
                candidate = (type_ is NoneType, rank, key)
                chosen[name] = min(chosen.get(name, candidate), candidate)
        names = {key: name for name, (_, _, key) in chosen.items()}
        copied, converted, extra = [], [], []
        for key, type_ in zip(keys, types, strict=True):
            if type_ is NoneType and self._spelling(key)[1] is not None:
                continue  # the property is null already
            name = names.get(key)
            convert = self._conversion(name, type_) if name else None
            if name is None or convert is None:
                extra.append(key)
            elif convert is _as_it_is:
                copied.append((key, name))
            else:
                converted.append((key, name, convert))
        return _Layout(tuple(copied), tuple(converted), tuple(extra))

    def _spelling(self, key: str) -> tuple[int, str | None]:
        """Return a key's rank among the spellings of a property, and the property's name."""
        return self._spellings.get(key) or self._spellings.get(key.lower()) or (0, None)

    def _conversion(self, name: str, type_: type) -> Convert | None:
        """Return how a value of `type_` becomes one of the property `name`; None: not at all."""
        declaration = self._declared[name]
        if declaration.get("format") == "date-time":
            return self.moments if type_ is str else None
        if declaration.get("x-joined") and type_ is list:
            return _joined_string
        wanted = json_type(declaration)
        if declaration.get("x-identifier") and (wanted, type_) in _ID_CONVERSIONS:
            return _ID_CONVERSIONS[wanted, type_]
        conversions: dict[tuple[str, type], Convert] = {
            ("string", str): _as_it_is,
            ("integer", int): _int64,
            ("number", int): _as_it_is,
            ("number", float): _as_it_is,
        }
        return conversions.get((wanted, type_))


def _spellings(declared: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[int, str]]:
    """Return for every spelling, and its lower case, a rank (least first) and the property's name."""
    exact = {
        spelling: (rank, name)
        for name, declaration in declared.items()
        for rank, spelling in enumerate([name, *declaration.get("x-spellings", ())])
    }
    folded = {key.lower(): (rank + len(exact), name) for key, (rank, name) in exact.items()}
    return folded | exact


def is_blank(value: Any) -> bool:
    """Return whether a value identifies nothing: null, or text without a visible character."""
    return value is None or (isinstance(value, str) and not value.strip())


def _as_it_is(value: Any) -> Any:
    return value


def _joined_string(values: list[Any]) -> str | None:
    return ",".join(values) if all(type(it) is str for it in values) else None


def _int64(value: int) -> int | None:
    """Take what a warehouse's bigint holds."""
    return value if -(2**63) <= value < 2**63 else None


def _id_of_text(value: str) -> int | None:
    return _int64(int(value)) if value.isascii() and value.isdecimal() and len(value) < 20 else None  # noqa: PLR2004


#: An identifier is the same one in digits and as a number; without it, a message could not be kept apart.
_ID_CONVERSIONS: dict[tuple[str, type], Convert] = {("string", int): str, ("integer", str): _id_of_text}
