"""The columns of the data source: their Spark types, and the conversion of records to Arrow."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import pyarrow as pa
from pyspark.sql import types

from tap_msghistory.arrow import arrow_type, kind
from tap_msghistory.errors import TapError
from tap_msghistory.reading.batches import Batch
from tap_msghistory.schemas import ACCOUNT, types_of

REJECTED = "rejected"
_REJECTED_COLUMN = {
    "type": ["object", "null"],
    "description": "An invalid message: reason and message, as JSON. Personal data.",
}
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
        self._properties = {**schema["properties"], **({REJECTED: _REJECTED_COLUMN} if rejected else {})}
        self.struct = types.StructType(
            [
                types.StructField(
                    name,
                    _SPARK_TYPES[kind(declaration)],
                    nullable=(rejected and name != ACCOUNT) or "null" in types_of(declaration),
                    metadata={"comment": declaration["description"]},
                )
                for name, declaration in self._properties.items()
            ]
        )

    def set_schema(self, schema: types.StructType) -> None:
        """Use the schema that Spark passes. Raises `TapError` if it has other columns."""
        expected, actual = (
            [(field.name, field.dataType) for field in struct] for struct in (self.struct, schema)
        )
        if actual != expected:
            raise TapError("The stream determines the schema: remove schema() and use select()")
        self._arrow = pa.schema(
            [
                pa.field(field.name, arrow_type(self._properties[field.name]).type, field.nullable)
                for field in schema
            ]
        )

    def to_arrow(self, batch: Batch, constants: Mapping[str, str]) -> pa.RecordBatch:
        """Return a batch's records, followed by its rejected messages, which need the column `rejected`.

        `constants` are the values of columns that are the same in all rows.
        """
        rejections = [{"reason": message.reason, "message": message.row} for message in batch.rejected]

        def values(name: str) -> list[Any]:
            if name == REJECTED:
                return [*[None] * len(batch.records), *rejections]
            return [*map(attrgetter(name), batch.records), *[constants.get(name)] * len(rejections)]

        arrays = [
            arrow_type(declaration).to_array(values(name)) for name, declaration in self._properties.items()
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._arrow)
