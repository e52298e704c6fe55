"""The description of both APIs, in the file openapi.yaml."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml


def description(base_url: str) -> dict[str, Any]:
    """Return the description with the server's base URL."""
    return {**_content(), "servers": [{"url": base_url.rstrip("/")}]}


@cache
def _content() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(
        (files(__package__) / "openapi.yaml").read_text(encoding="utf-8")
    )
    return content
