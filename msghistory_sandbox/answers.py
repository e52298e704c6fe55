"""What a vendor's API gives back, before it is encoded."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """Status, a body for the JSON encoder, further headers, and how many messages are in it."""

    status: int
    body: Any
    headers: dict[str, str]
    rows: int = 0


def refusal(status: int, message: str) -> Answer:
    """Refuse in the style of the gateway's rate limit page, the only error body it shows."""
    body = {"status": status, "error": HTTPStatus(status).phrase, "message": message}
    return Answer(status, body, {})
