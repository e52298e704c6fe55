"""Charsets that responses declare."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping

_CHARSET = re.compile(r"""charset\s*=\s*["']?([^\s"';]+)""", re.IGNORECASE)


def charset_of(headers: Mapping[str, str]) -> str | None:
    """Return the codec of the declared charset; None if it is missing or not supported by Python."""
    found = _CHARSET.search(headers.get("Content-Type", ""))
    try:
        codec = codecs.lookup(found[1]) if found else None
    except LookupError:
        return None
    return codec.name if codec and codec._is_text_encoding else None  # noqa: SLF001
