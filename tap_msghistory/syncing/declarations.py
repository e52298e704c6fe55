"""Declarations of streams: of message histories, and of those that accompany them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from tap_msghistory.reading.source import HistorySource
from tap_msghistory.schemas import ACCOUNT, with_account


@dataclass(frozen=True, slots=True)
class AuxiliaryDeclaration:
    """A stream without messages of its own. Its rows are emitted before a history's bookmark advances."""

    name: str
    schema: dict[str, Any]
    primary_keys: tuple[str, ...]
    #: The time at which a row was emitted. It orders the versions of a row. No sync starts from it.
    replication_key: str

    def with_account(self) -> AuxiliaryDeclaration:
        """Return the declaration with the column `account` in the schema and in the key."""
        return replace(self, schema=with_account(self.schema), primary_keys=(*self.primary_keys, ACCOUNT))


#: What is declared about a stream, for every interface.
StreamDeclaration = HistorySource | AuxiliaryDeclaration


def projection(stream: StreamDeclaration, columns: Collection[str]) -> Any:
    """Return the type of a list of records with some columns, the key and the cursor; None: all columns.

    `msgspec.convert(records, projection, from_attributes=True)` converts records to it.
    """
    required = {*columns, *stream.primary_keys, stream.replication_key}
    names = [name for name in stream.schema["properties"] if name in required]
    if not columns or len(names) == len(stream.schema["properties"]):
        return None
    return list[msgspec.defstruct("Record", [(name, Any) for name in names], gc=False)]  # type: ignore[misc]
