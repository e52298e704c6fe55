"""The files that are given on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import IO, Any

from singer_sdk.helpers._util import read_json_file

from tap_msghistory.errors import TapError


def check_config_files(paths: Iterable[str]) -> None:
    """Raise `TapError` if a settings file does not contain a JSON object; `ENV` is not a file."""
    for path in paths:
        if path != "ENV" and not isinstance(read_json_file(path), dict):
            raise TapError(f"The file {path}, given with --config, must contain a JSON object")


def read_state(file: IO[str] | None) -> dict[str, Any] | None:
    """Read a Singer state, or one in the form that `meltano state get` prints. Raises `TapError`."""
    return _checked(unwrapped_state(_read_json(file)), "state", "bookmarks")


def unwrapped_state(content: Any) -> Any:
    """Return the Singer state in the output of `meltano state get`, and any other content unchanged."""
    for name in ("completed", "singer_state"):
        if isinstance(content, dict) and "bookmarks" not in content and isinstance(content.get(name), dict):
            content = content[name]
    return content


def read_catalog(file: IO[str] | None) -> dict[str, Any] | None:
    """Read a Singer catalog. Raises `TapError`."""
    return _checked(_read_json(file), "catalog", "streams")


def _read_json(file: IO[str] | None) -> Any:
    """Return the content of a file. Raises `ValueError` if it is not JSON."""
    return json.load(file) if file else None


def _checked(content: Any, option: str, member: str) -> dict[str, Any] | None:
    """Return an object. The SDK would treat anything else as an empty object. Raises `TapError`."""
    if content is None:
        return None
    if not isinstance(content, dict) or (content and member not in content):
        raise TapError(f"The file given with --{option} must contain a JSON object with {member!r}")
    return content
