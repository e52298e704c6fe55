"""Declarations of the streams that accompany the message histories."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tap_msghistory.schemas import ACCOUNT, with_account


@dataclass(frozen=True, slots=True)
class AuxiliaryDeclaration:
    """A stream without messages of its own. Its rows are emitted before a history's bookmark advances."""

    name: str
    schema: dict[str, Any]
    primary_keys: tuple[str, ...]

    def with_account(self) -> AuxiliaryDeclaration:
        """Return the declaration with the column `account` in the schema and in the key."""
        return replace(self, schema=with_account(self.schema), primary_keys=(*self.primary_keys, ACCOUNT))
