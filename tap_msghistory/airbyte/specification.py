"""The form of the settings in Airbyte, and its conversion to the tap's settings."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airbyte_protocol_dataclasses import models as protocol

from tap_msghistory.config.interface import InterfaceSettings
from tap_msghistory.config.settings import SETTINGS
from tap_msghistory.config.validation import hint
from tap_msghistory.errors import TapError
from tap_msghistory.schemas import json_type

logger = logging.getLogger("tap-msghistory.airbyte")

_SETTINGS = InterfaceSettings(
    "Airbyte", maps="Transform messages in the destination", objects="Object columns are always nested"
)
#: The form offers either kind of credentials. In a file, the settings may also be at the top level.
_CREDENTIALS = "partner_gateway_credentials"
_ALTERNATIVES = {
    "API key": ("api_key", ("partner_gateway_api_key",)),
    "Username and password": ("password", ("partner_gateway_username", "partner_gateway_password")),
}
_IN_CREDENTIALS = {name for _, names in _ALTERNATIVES.values() for name in names}

# No `format`: a date without a time is not a `date-time`.
_TIME = {
    "pattern": r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$",
    "pattern_descriptor": "YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ",
}
_DURATION = {"pattern": r"^P[0-9WDTHMS.,]+$", "pattern_descriptor": "ISO 8601 duration"}
_URL = {"pattern": r"^https?://\S+$", "pattern_descriptor": "https://"}
_PATTERNS: dict[str, dict[str, str]] = {
    **dict.fromkeys(("start_date", "end_date"), _TIME),
    **dict.fromkeys(("lookback", "visibility_lag"), _DURATION),
    **dict.fromkeys(("edna_base_url", "partner_gateway_base_url"), _URL),
}


def specification() -> protocol.ConnectorSpecification:
    """Return the form of the settings."""
    fields: dict[str, Any] = {}
    for name in _SETTINGS.properties:
        fields[name] = _field(name)
        if name in _IN_CREDENTIALS:
            fields[name]["airbyte_hidden"] = True  # keeps a credential at the top level secret
            fields.setdefault(_CREDENTIALS, _credentials())
    return protocol.ConnectorSpecification(
        connectionSpecification={
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Message histories of edna Pulse and of the Qlara partner gateway",
            "type": "object",
            "required": SETTINGS["required"],
            "properties": _ordered(fields),
            "additionalProperties": True,
        },
        supportsIncremental=True,
    )


def settings(config: Any) -> dict[str, Any]:
    """Return the tap's settings with defaults, and log what is suspicious. Raises `TapError`."""
    credentials = config.get(_CREDENTIALS) or {} if isinstance(config, dict) else None
    if not isinstance(credentials, dict):
        raise TapError(f"The config and its {_CREDENTIALS} must be JSON objects")
    flat = {name: value for name, value in config.items() if name != _CREDENTIALS} | _flat(credentials)
    _SETTINGS.check_names(flat, allow_unknown=True)
    resolved = _SETTINGS.resolve(flat)
    for warning in _SETTINGS.warnings(resolved):
        logger.warning(warning)
    return resolved


def _flat(credentials: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings in the object with the credentials. Raises `TapError` if it is not complete."""
    auth_type = credentials.get("auth_type")
    names = next((names for kind, names in _ALTERNATIVES.values() if kind == auth_type), ())
    if auth_type is not None and not (names and all(map(credentials.get, names))):
        choices = ", or ".join(f"{kind} with {' and '.join(names)}" for kind, names in _ALTERNATIVES.values())
        raise TapError(f"Setting {_CREDENTIALS}: auth_type must be {choices}")
    found = {name: value for name, value in credentials.items() if name != "auth_type"}
    for name in found.keys() - _IN_CREDENTIALS:
        raise TapError(f"Setting {name} is unknown{hint(name, _IN_CREDENTIALS)}")
    return found


def _credentials() -> dict[str, Any]:
    alternatives = [
        {
            "title": title,
            "type": "object",
            "required": ["auth_type", *names],
            "properties": _ordered(
                {"auth_type": {"type": "string", "const": kind}, **{name: _field(name) for name in names}}
            ),
        }
        for title, (kind, names) in _ALTERNATIVES.items()
    ]
    return {
        "type": "object",
        "title": "Partner gateway: credentials",
        "description": "Enables the streams of the partner gateway.",
        "oneOf": alternatives,
    }


def _field(name: str) -> dict[str, Any]:
    """Return a setting as a field of the form."""
    declaration = _SETTINGS.properties[name]
    field = {key: value for key, value in declaration.items() if key not in {"secret", "writeOnly"}}
    # A form needs one type. Settings that may also be a text are a text.
    field["type"] = "string" if "string" in declaration["type"] else json_type(declaration)
    if "items" in declaration:
        field["items"] = {**declaration["items"], "type": json_type(declaration["items"])}
    if declaration.get("secret"):
        field["airbyte_secret"] = True
    return {**field, **_PATTERNS.get(name, {})}


def _ordered(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {name: {**field, "order": order} for order, (name, field) in enumerate(fields.items())}
