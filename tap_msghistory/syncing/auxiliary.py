"""Declarations of the streams that accompany the message histories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class AuxiliaryDeclaration:
    """A stream without messages of its own. Its rows are emitted before a history's bookmark advances."""

    name: str
    schema: dict[str, Any]
    primary_keys: tuple[str, ...]
