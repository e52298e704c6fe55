"""Responses of the emulated APIs, before encoding."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple


class ApiResponse(NamedTuple):
    """Status, body for the JSON encoder, additional headers, and the number of messages in the body."""

    status: int
    body: Any
    headers: dict[str, str]
    rows: int = 0


def error_response(status: int, message: str) -> ApiResponse:
    """Build an error in the format of the gateway's 429, the only error body that it documents."""
    body = {"status": status, "error": HTTPStatus(status).phrase, "message": message}
    return ApiResponse(status, body, {})
