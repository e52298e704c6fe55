"""Converts records to Arrow, typed by the JSON Schemas of the streams."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from tap_msghistory.schemas import json_type, types_of

TIME = pa.timestamp("us", tz="UTC")


class ArrowType(NamedTuple):
    """An Arrow type, and the conversion of a property's values (None: null) to an array."""

    type: pa.DataType
    to_array: Callable[[list[Any]], pa.Array]


def _times(texts: list[Any]) -> pa.Array:
    return pa.array(texts, pa.string()).cast(TIME)


def _numbers(numbers: list[Any]) -> pa.Array:
    return pa.array([*map(_number, numbers)], pa.float64())


def _number(number: float | None) -> float | None:
    try:
        return None if number is None else float(number)
    except OverflowError:  # an integer outside the range of floats
        return math.inf if number > 0 else -math.inf  # type: ignore[operator]


def _objects(objects: list[Any]) -> pa.Array:
    texts = [None if object_ is None else msgspec.json.encode(object_).decode() for object_ in objects]
    return pa.array(texts, pa.string())


_TYPES = {
    "string": ArrowType(pa.string(), partial(pa.array, type=pa.string())),
    "integer": ArrowType(pa.int64(), partial(pa.array, type=pa.int64())),
    "number": ArrowType(pa.float64(), _numbers),
    "boolean": ArrowType(pa.bool_(), partial(pa.array, type=pa.bool_())),
    "date-time": ArrowType(TIME, _times),
    "object": ArrowType(pa.string(), _objects),  # as JSON
}


def kind(declaration: Mapping[str, Any]) -> str:
    """Return the JSON type of a property, or `date-time`."""
    return str(declaration.get("format") or json_type(declaration))


def arrow_type(declaration: Mapping[str, Any]) -> ArrowType:
    """Return the Arrow type of a property."""
    return _TYPES[kind(declaration)]


class ArrowConverter:
    """Converts records or rows of one stream to Arrow tables."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Use a stream's JSON Schema. Only columns that allow null are nullable."""
        properties = schema["properties"]
        self._types = {name: arrow_type(declaration) for name, declaration in properties.items()}
        self.schema = pa.schema(
            pa.field(name, type_.type, nullable="null" in types_of(properties[name]))
            for name, type_ in self._types.items()
        )

    def records(self, records: Sequence[Any]) -> pa.Table:
        """Convert structs with the schema's columns."""
        return self._table(attrgetter, records)

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
        """Convert mappings with the schema's columns."""
        return self._table(itemgetter, rows)

    def _table(self, getter: Callable[[str], Callable[[Any], Any]], items: Sequence[Any]) -> pa.Table:
        arrays = [type_.to_array([*map(getter(name), items)]) for name, type_ in self._types.items()]
        return pa.Table.from_arrays(arrays, schema=self.schema)
