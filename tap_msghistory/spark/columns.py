"""The columns of the data source: their Spark types, and the conversion of records to Arrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

import pyarrow as pa
from pyspark.sql import types

from tap_msghistory.arrow import arrow_type, kind
from tap_msghistory.errors import TapError
from tap_msghistory.reading.batches import Batch
from tap_msghistory.reading.records import Rejected
from tap_msghistory.schemas import ACCOUNT, types_of

REJECTED = "rejected"
_STRING, _OBJECT = {"type": "string"}, {"type": "object"}
_SPARK_TYPES = {
    "string": types.StringType(),
    "integer": types.LongType(),
    "number": types.DoubleType(),
    "date-time": types.TimestampType(),
    "object": types.StringType(),  # as JSON
}


class Columns:
    """The columns of one stream, and optionally `rejected`."""

    def __init__(self, schema: Mapping[str, Any], *, rejected: bool) -> None:
        """Use a stream's JSON Schema. In the row of a rejected message, only `account` is not null."""
        self._properties = schema["properties"]
        self._rejected = rejected
        self.struct = types.StructType()
        for name, declaration in self._properties.items():
            is_nullable = (rejected and name != ACCOUNT) or "null" in types_of(declaration)
            self._add(name, declaration, declaration["description"], null=is_nullable)
        if rejected:
            comment = "An invalid message: reason and message, as JSON. Personal data."
            self._add(REJECTED, _OBJECT, comment, null=True)

    def set_schema(self, schema: types.StructType) -> None:
        """Use the schema that Spark passes. Raises `TapError` if it has other columns."""
        expected, actual = (
            [(field.name, field.dataType) for field in struct] for struct in (self.struct, schema)
        )
        if actual != expected:
            raise TapError("The stream determines the schema: remove schema() and use select()")
        self._arrow = pa.schema(
            [
                pa.field(
                    field.name, arrow_type(self._properties.get(field.name, _STRING)).type, field.nullable
                )
                for field in schema
            ]
        )

    def to_arrow(self, batch: Batch, constants: Mapping[str, str]) -> pa.RecordBatch:
        """Return a batch's records, followed by its rejected messages.

        `constants` are the values of columns that are the same in all rows.
        """
        rejected = batch.rejected if self._rejected else []
        arrays = [
            arrow_type(declaration).to_array(
                [*map(attrgetter(name), batch.records), *[constants.get(name)] * len(rejected)]
            )
            for name, declaration in self._properties.items()
        ]
        if self._rejected:
            arrays.append(_rejections(len(batch.records), rejected))
        return pa.RecordBatch.from_arrays(arrays, schema=self._arrow)

    def _add(self, name: str, declaration: Mapping[str, Any], comment: str, *, null: bool) -> None:
        self.struct.add(types.StructField(name, _SPARK_TYPES[kind(declaration)], null, {"comment": comment}))


def _rejections(records: int, rejected: Sequence[Rejected]) -> pa.Array:
    objects = [{"reason": message.reason, "message": message.row} for message in rejected]
    return arrow_type(_OBJECT).to_array([*[None] * records, *objects])
