"""From records to Arrow, typed by the same schemas as the tap's streams."""

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
from tap_msghistory.reading.records import Rejected, json_type
from tap_msghistory.reading.window_rows import Batch
from tap_msghistory.schemas import types_of

ACCOUNT = "account"
REJECTED = "rejected"
_TIME = pa.timestamp("us", tz="UTC")


class _Type(NamedTuple):
    """What a JSON type becomes."""

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
    except OverflowError:  # an integer that no float holds
        return math.inf if number > 0 else -math.inf  # type: ignore[operator]


def _objects(objects: list[Any]) -> pa.Array:
    return pa.array([it and msgspec.json.encode(it).decode() for it in objects], pa.string())


_TYPES = {
    "string": _Type(types.StringType(), pa.string(), partial(pa.array, type=pa.string())),
    "integer": _Type(types.LongType(), pa.int64(), partial(pa.array, type=pa.int64())),
    "number": _Type(types.DoubleType(), pa.float64(), _numbers),
    "date-time": _Type(types.TimestampType(), _TIME, _times),
    "object": _Type(types.StringType(), pa.string(), _objects),  # as JSON
}


class Columns:
    """The columns of one stream, and besides them, if so asked, `account` and `rejected`."""

    def __init__(self, schema: Mapping[str, Any], *, account: bool, rejected: bool) -> None:
        """Take a stream's JSON Schema. A rejected message has no value in any of its columns."""
        self._types = {
            name: _TYPES[it.get("format") or json_type(it)] for name, it in schema["properties"].items()
        }
        self._account = account
        self._rejected = rejected
        self.struct = types.StructType()
        if account:
            self._add(
                ACCOUNT, _TYPES["string"], "The account, by its name in the option accounts.", null=False
            )
        for name, it in schema["properties"].items():
            self._add(name, self._types[name], it["description"], null=rejected or "null" in types_of(it))
        if rejected:
            comment = "A message without identifier or send time: reason and message, as JSON. Personal data."
            self._add(REJECTED, _TYPES["object"], comment, null=True)

    def adopt(self, schema: types.StructType) -> None:
        """Make batches for `schema`, which Spark gives. Raises `TapError` where its columns are others."""
        if [(it.name, it.dataType) for it in schema] != [(it.name, it.dataType) for it in self.struct]:
            raise TapError(
                "The columns are those of the stream: leave out schema(), and select what you need"
            )
        self._arrow = pa.schema(
            [
                pa.field(it.name, self._types.get(it.name, _TYPES["string"]).arrow, it.nullable)
                for it in schema
            ]
        )

    def to_arrow(self, batch: Batch, account: str | None) -> pa.RecordBatch:
        """Return a batch's records, and behind them what was rejected."""
        rejected = batch.rejected if self._rejected else []
        missing = [None] * len(rejected)
        arrays = [
            it.to_arrow([*map(attrgetter(name), batch.records), *missing]) for name, it in self._types.items()
        ]
        if self._account:
            arrays.insert(0, pa.repeat(account, len(batch.records) + len(rejected)))
        if self._rejected:
            arrays.append(_rejections(len(batch.records), rejected))
        return pa.RecordBatch.from_arrays(arrays, schema=self._arrow)

    def _add(self, name: str, type_: _Type, comment: str, *, null: bool) -> None:
        self.struct.add(types.StructField(name, type_.spark, null, {"comment": comment}))


def _rejections(records: int, rejected: Sequence[Rejected]) -> pa.Array:
    told = [{"reason": it.reason, "message": it.row} for it in rejected]
    return _objects([*[None] * records, *told])
