"""Declarations of streams: of message histories, and of those that accompany them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

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
