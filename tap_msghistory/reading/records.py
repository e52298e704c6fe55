"""Normalizes rows: one canonical record per message, whatever field names and types the vendor returns.

`schemas/*.json` defines a record. In a property, `x-aliases` lists its other names in the vendors'
documentation, `x-joined` marks a string that may also be returned as a list of strings, and
`x-identifier` an identifier, which may be returned as digits or as a number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from tap_msghistory.reading.timestamp_normalizer import TimestampNormalizer
from tap_msghistory.schemas import json_type

Row = dict[str, Any]
Record = dict[str, Any]
Convert = Callable[[Any], Any]  # returns None for a value of an unexpected type

EXTRA_FIELDS = "extraFields"
_TYPES: dict[str, Any] = {
    "string": str,
    # The range of a warehouse's bigint.
    "integer": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    "number": int | float,
}
#: A type that matches no value.
_NEVER: Any = Annotated[str, msgspec.Meta(pattern="(?!)")]
NoneType = type(None)  # mypy does not know types.NoneType of Python 3.10


@dataclass(frozen=True, slots=True)
class Rejected:
    """An invalid message: the vendor's row, or the normalized record if its key is shared, and the reason."""

    row: Row
    reason: str
    #: Values that stay the same when the message is read again; None: the row itself.
    identity: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True)
class _RowConversion:
    """The conversion of rows that have the same keys and types of values.

    It is determined once and reused for thousands of rows. Inspecting every value would take most of a sync's
    CPU time. Each entry holds a row's key and the name of the property.
    """

    copied: tuple[tuple[str, str], ...]
    converted: tuple[tuple[str, str, Convert], ...]
    extra: tuple[str, ...]


def record_type(
    schema: Mapping[str, Any], constants: Mapping[str, str], *, from_vendor: bool
) -> type[msgspec.Struct]:
    """Return the type of a schema's records: its columns in its order, each of them optional.

    `constants` are the values of columns that are the same in all records. With `from_vendor`, a row with a
    field named like such a column or `extraFields` does not match the type, because that vendor field is not
    the schema's column.
    """
    own = {**dict.fromkeys(constants, str), EXTRA_FIELDS: dict[str, Any] | None}
    if from_vendor:
        own = dict.fromkeys(own, _NEVER)
    columns = [
        (name, own[name] if name in own else _TYPES[json_type(declaration)] | None, constants.get(name))
        for name, declaration in schema["properties"].items()
    ]
    # Records have no cycles, so the garbage collector need not traverse millions of them.
    return msgspec.defstruct("Record", columns, forbid_unknown_fields=True, gc=False)


class RecordNormalizer:
    """Converts a vendor's row into a record with every property of the schema, or rejects it."""

    def __init__(
        self,
        schema: Mapping[str, Any],
        *,
        replication_key: str,
        assume_timezone: tzinfo,
        primary_keys: tuple[str, ...] = ("messageId",),
        id_fallback: str | None = None,
        defaults: Mapping[str, Any] | None = None,
        constants: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare the conversion of rows.

        `replication_key` is the property with the send time. `id_fallback` replaces a missing `messageId`.
        `defaults` are the values of properties that a row may lack, `constants` those of properties that no
        row has.
        """
        constants = constants or {}
        self._declared = {
            name: declaration
            for name, declaration in schema["properties"].items()
            if name != EXTRA_FIELDS and name not in constants
        }
        self._empty = {**dict.fromkeys(schema["properties"]), **constants}
        self._aliases = _aliases(self._declared)
        self.replication_key = replication_key
        self.primary_keys = primary_keys
        self._id_fallback = id_fallback
        self._defaults = dict(defaults or {})
        self.timestamps = TimestampNormalizer(assume_timezone)
        self._conversion_for = lru_cache(maxsize=4096)(self._determine_conversion)

    def __call__(self, row: Row) -> Record | Rejected:
        """Normalize one row.

        Unknown fields are kept in `extraFields`, and so are known fields of an unexpected type, whose
        properties are null.
        """
        conversion = self._conversion_for(tuple(row), tuple(map(type, row.values())))
        record: Record = self._empty.copy()
        for key, name in conversion.copied:
            record[name] = row[key]
        extra = {key: row[key] for key in conversion.extra} if conversion.extra else {}
        for key, name, convert in conversion.converted:
            record[name] = converted = convert(row[key])
            if converted is None:
                extra[key] = row[key]
        if extra:
            record[EXTRA_FIELDS] = extra
        if self._id_fallback and is_blank(record["messageId"]):
            record["messageId"] = record[self._id_fallback]
        for name, value in self._defaults.items():
            if is_blank(record[name]):
                record[name] = value
        for name in (*self.primary_keys, self.replication_key):
            if is_blank(record[name]):
                return Rejected(row, f"no readable {name}")
        return record

    def _determine_conversion(self, keys: tuple[str, ...], types: tuple[type, ...]) -> _RowConversion:
        chosen: dict[str, tuple[bool, int, str]] = {}
        for key, type_ in zip(keys, types, strict=True):
            # The vendors' documentation mixes cases (tenantId, TenantId). A value takes precedence over null,
            # then an exact name over other aliases.
            rank, name = self._property_of(key)
            if name is not None:
                candidate = (type_ is NoneType, rank, key)
                chosen[name] = min(chosen.get(name, candidate), candidate)
        names = {key: name for name, (_, _, key) in chosen.items()}
        copied, converted, extra = [], [], []
        for key, type_ in zip(keys, types, strict=True):
            if type_ is NoneType and self._property_of(key)[1] is not None:
                continue  # the property is already null
            property_ = names.get(key)
            convert = self._value_conversion(property_, type_) if property_ else None
            if property_ is None or convert is None:
                extra.append(key)
            elif convert is _unchanged:
                copied.append((key, property_))
            else:
                converted.append((key, property_, convert))
        return _RowConversion(tuple(copied), tuple(converted), tuple(extra))

    def _property_of(self, key: str) -> tuple[int, str | None]:
        """Return a key's rank among the aliases of a property, and the property's name."""
        return self._aliases.get(key) or self._aliases.get(key.lower()) or (0, None)

    def _value_conversion(self, name: str, type_: type) -> Convert | None:
        """Return the conversion of values of `type_` for a property; None if the type is unexpected."""
        declaration = self._declared[name]
        if declaration.get("format") == "date-time":
            return self.timestamps if type_ is str else None
        if declaration.get("x-joined") and type_ is list:
            return _joined_string
        target = json_type(declaration)
        if declaration.get("x-identifier") and (target, type_) in _ID_CONVERSIONS:
            return _ID_CONVERSIONS[target, type_]
        conversions: dict[tuple[str, type], Convert] = {
            ("string", str): _unchanged,
            ("integer", int): _int64,
            ("number", int): _unchanged,
            ("number", float): _unchanged,
        }
        return conversions.get((target, type_))


def _aliases(declared: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[int, str]]:
    """Map every alias, and its lower case, to a rank (lowest first) and the property's name."""
    exact = {
        alias: (rank, name)
        for name, declaration in declared.items()
        for rank, alias in enumerate([name, *declaration.get("x-aliases", ())])
    }
    folded = {key.lower(): (rank + len(exact), name) for key, (rank, name) in exact.items()}
    return folded | exact


def is_blank(value: Any) -> bool:
    """Return whether a value identifies nothing: null, or text without a visible character."""
    return value is None or (isinstance(value, str) and not value.strip())


def _unchanged(value: Any) -> Any:
    return value


def _joined_string(values: list[Any]) -> str | None:
    return ",".join(values) if all(type(value) is str for value in values) else None


def _int64(value: int) -> int | None:
    """Return an integer in the range of a warehouse's bigint, None for others."""
    return value if -(2**63) <= value < 2**63 else None


def _id_of_text(value: str) -> int | None:
    return _int64(int(value)) if value.isascii() and value.isdecimal() and len(value) < 20 else None  # noqa: PLR2004


#: An identifier may be returned as digits or as a number. Rejecting either would leave messages without an
#: identifier.
_ID_CONVERSIONS: dict[tuple[str, type], Convert] = {("string", int): str, ("integer", str): _id_of_text}
