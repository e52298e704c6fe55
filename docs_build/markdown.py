"""Small pieces of Markdown that the generators share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_URL = re.compile(r"https?://[\w./-]*[\w/]")


class IncompleteReferenceError(Exception):
    """Something that the reference must describe has no description, or no place in it."""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, cells))} |" for cells in lines)


def prose(text: str) -> str:
    """Return plain text as Markdown: without accidental emphasis, and with URLs as code."""
    escaped = re.sub(r"(?<!\w)([_*])", r"\\\1", text.replace("<", "&lt;"))
    return _URL.sub(r"`\g<0>`", escaped)


def code(value: object) -> str:
    """Return a value as inline code."""
    return f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
