"""A request to a vendor's endpoint, and the errors that the endpoint documents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its credentials."""

    method: str
    url: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    success: frozenset[int] = frozenset({200})  #: statuses of a successful response
    is_repeatable: bool = True  #: False: sending it again could have its effect twice


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """Maps a documented error to advice for the user."""

    status: int
    code: str  #: text that the response body contains; empty: the status alone identifies the error
    advice: str  #: what the user should check or change
