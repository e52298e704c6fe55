"""Converts records to Arrow, typed by the schemas of the tap's streams."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
from pyspark.sql import types

from tap_msghistory.errors import TapError
from tap_msghistory.reading.batches import Batch
from tap_msghistory.reading.records import Rejected
from tap_msghistory.schemas import json_type, types_of

ACCOUNT = "account"
REJECTED = "rejected"
_TIME = pa.timestamp("us", tz="UTC")


class _Type(NamedTuple):
    """The Spark and Arrow types of a JSON type."""

    spark: types.DataType
    arrow: pa.DataType
    to_arrow: Callable[[list[Any]], pa.Array]


def _times(texts: list[Any]) -> pa.Array:
    return pa.array(texts, pa.string()).cast(_TIME)


def _numbers(numbers: list[Any]) -> pa.Array:
    return pa.array([*map(_number, numbers)], pa.float64())


def _number(number: float | None) -> float | None:
    try:
        return None if number is None else float(number)
    except OverflowError:  # an integer outside the range of floats
        return math.inf if number > 0 else -math.inf  # type: ignore[operator]


def _objects(objects: list[Any]) -> pa.Array:
    return pa.array([object_ and msgspec.json.encode(object_).decode() for object_ in objects], pa.string())


_TYPES = {
    "string": _Type(types.StringType(), pa.string(), partial(pa.array, type=pa.string())),
    "integer": _Type(types.LongType(), pa.int64(), partial(pa.array, type=pa.int64())),
    "number": _Type(types.DoubleType(), pa.float64(), _numbers),
    "date-time": _Type(types.TimestampType(), _TIME, _times),
    "object": _Type(types.StringType(), pa.string(), _objects),  # as JSON
}


class Columns:
    """The columns of one stream, and optionally `account` and `rejected`."""

    def __init__(self, schema: Mapping[str, Any], *, account: bool, rejected: bool) -> None:
        """Use a stream's JSON Schema. In the row of a rejected message, all its columns are null."""
        self._types = {
            name: _TYPES[declaration.get("format") or json_type(declaration)]
            for name, declaration in schema["properties"].items()
        }
        self._account = account
        self._rejected = rejected
        self.struct = types.StructType()
        if account:
            self._add(
                ACCOUNT, _TYPES["string"], "The account, by its name in the option accounts.", null=False
            )
        for name, declaration in schema["properties"].items():
            is_nullable = rejected or "null" in types_of(declaration)
            self._add(name, self._types[name], declaration["description"], null=is_nullable)
        if rejected:
            comment = "An invalid message: reason and message, as JSON. Personal data."
            self._add(REJECTED, _TYPES["object"], comment, null=True)

    def set_schema(self, schema: types.StructType) -> None:
        """Use the schema that Spark passes. Raises `TapError` if it has other columns."""
        expected, actual = (
            [(field.name, field.dataType) for field in struct] for struct in (self.struct, schema)
        )
        if actual != expected:
            raise TapError("The stream determines the schema: remove schema() and use select()")
        self._arrow = pa.schema(
            [
                pa.field(field.name, self._types.get(field.name, _TYPES["string"]).arrow, field.nullable)
                for field in schema
            ]
        )

    def to_arrow(self, batch: Batch, account: str | None) -> pa.RecordBatch:
        """Return a batch's records, followed by its rejected messages."""
        rejected = batch.rejected if self._rejected else []
        missing = [None] * len(rejected)
        arrays = [
            type_.to_arrow([*map(attrgetter(name), batch.records), *missing])
            for name, type_ in self._types.items()
        ]
        if self._account:
            arrays.insert(0, pa.repeat(account, len(batch.records) + len(rejected)))
        if self._rejected:
            arrays.append(_rejections(len(batch.records), rejected))
        return pa.RecordBatch.from_arrays(arrays, schema=self._arrow)

    def _add(self, name: str, type_: _Type, comment: str, *, null: bool) -> None:
        self.struct.add(types.StructField(name, type_.spark, null, {"comment": comment}))


def _rejections(records: int, rejected: Sequence[Rejected]) -> pa.Array:
    objects = [{"reason": message.reason, "message": message.row} for message in rejected]
    return _objects([*[None] * records, *objects])
