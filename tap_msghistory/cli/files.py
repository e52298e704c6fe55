"""The files that are given on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

from tap_msghistory.errors import TapError


def read_json(file: Path | IO[str], option: str) -> Any:
    """Return the content of a file. Raises `TapError` if it is not readable or not JSON."""
    name, read = (file, file.read_bytes) if isinstance(file, Path) else (file.name, file.read)
    try:
        content = read()
        if isinstance(content, str):
            content = content.removeprefix("\ufeff")
        if not content.strip():
            raise TapError(f"The file {name}, given with {option}, is empty")
        return json.loads(content, parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise TapError(f"The file {name}, given with {option}, is not text in UTF-8") from error
    except (ValueError, RecursionError) as error:
        # The error's text contains a position, but not the content.
        raise TapError(f"The file {name}, given with {option}, is not JSON: {error}") from error
    except OSError as error:
        raise TapError(f"The file {name}, given with {option}, cannot be read: {error.strerror}") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def read_config(paths: Iterable[str]) -> dict[str, Any]:
    """Return the settings of all files, of which later ones take precedence. Raises `TapError`."""
    config: dict[str, Any] = {}
    for path in paths:
        content = read_json(Path(path), "--config")
        if not isinstance(content, dict):
            raise TapError(f"The file {path}, given with --config, must contain a JSON object")
        config |= content
    return config


def read_state(file: IO[str] | None) -> dict[str, Any] | None:
    """Read a Singer state, or one in the form that `meltano state get` prints. Raises `TapError`."""
    return _object(unwrapped_state(read_json(file, "--state")), "--state", "bookmarks") if file else None


def unwrapped_state(content: Any) -> Any:
    """Return the Singer state in the output of `meltano state get`, and any other content unchanged."""
    for name in ("completed", "singer_state"):
        if isinstance(content, dict) and "bookmarks" not in content and isinstance(content.get(name), dict):
            content = content[name]
    return content


def read_catalog(file: IO[str] | None) -> dict[str, Any] | None:
    """Read a Singer catalog. Raises `TapError`."""
    return _object(read_json(file, "--catalog"), "--catalog", "streams") if file else None


def _object(content: Any, option: str, member: str) -> dict[str, Any] | None:
    """Return an object, or None. The SDK would treat anything else as an empty object. Raises `TapError`."""
    if content is None:
        return None
    if not isinstance(content, dict) or (content and member not in content):
        raise TapError(f"The file given with {option} must contain a JSON object with {member!r}")
    return content
