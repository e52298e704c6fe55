"""Reads settings from environment variables and `.env` files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from singer_sdk.configuration._dict_config import parse_environment_config

from tap_msghistory.errors import TapError

_TEXT = {"type": ["string"]}
_BOOLEANS = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def read_environment(schema: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the settings whose variables are set and not blank.

    Numbers and invalid booleans are returned as text; the validation converts or reports them. Raises
    `TapError` for a list or an object that cannot be parsed.
    """
    properties = schema["properties"]
    texts = parse_environment_config({"properties": dict.fromkeys(properties, _TEXT)}, prefix)
    config: dict[str, Any] = {}
    for name, text in texts.items():
        types = properties[name]["type"]
        if not text.strip():
            continue  # an unset setting is often an empty variable
        if "boolean" in types:
            config[name] = _BOOLEANS.get(text.strip().lower(), text)
        elif {"array", "object"} & {*types} and "string" not in types:
            config[name] = _structure(name, properties[name], prefix)
        else:
            config[name] = text
    return config


def _structure(name: str, declaration: Mapping[str, Any], prefix: str) -> Any:
    try:
        return parse_environment_config({"properties": {name: declaration}}, prefix)[name]
    except ValueError as error:
        raise TapError(f"The environment variable {prefix}{name.upper()} must contain JSON") from error
