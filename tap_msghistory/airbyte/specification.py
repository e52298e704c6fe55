"""The form of the settings in Airbyte, and its conversion to the tap's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airbyte_protocol_dataclasses import models as protocol

from tap_msghistory.config import validation
from tap_msghistory.config.settings import SETTINGS
from tap_msghistory.errors import TapError
from tap_msghistory.schemas import json_type

#: Settings of the Singer SDK. A config that hashes addresses with them must not be read without them.
_SINGER_SETTINGS = ("stream_map", "faker_config", "flattening_", "batch_config")
#: Airbyte has nested types.
_WITHOUT_EFFECT = {"objects_as_json"}
_USED: dict[str, Any] = {
    name: declaration for name, declaration in SETTINGS["properties"].items() if name not in _WITHOUT_EFFECT
}
_SCHEMA = {**SETTINGS, "properties": _USED}

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
    "examples": ["2024-01-31", "2024-01-31T08:00:00Z"],
}
_DURATION = {
    "pattern": r"^P[0-9WDTHMS.,]+$",
    "pattern_descriptor": "ISO 8601 duration",
    "examples": ["P7D", "PT1H"],
}
_URL = {"pattern": r"^https?://\S+$", "pattern_descriptor": "https://"}
_HINTS: dict[str, dict[str, Any]] = {
    "start_date": _TIME,
    "end_date": _TIME,
    "lookback": _DURATION,
    "visibility_lag": _DURATION,
    "edna_base_url": {**_URL, "examples": ["https://app.edna.ru"]},
    "edna_channel_types": {"examples": [["SMS", "WHATSAPP"]]},
    "partner_gateway_base_url": _URL,
    "reread": {"examples": ["edna_history=2024-01-01/2024-02-01"]},
    "assume_timezone": {"examples": ["Europe/Rome"]},
}


def specification() -> protocol.ConnectorSpecification:
    """Return the form of the settings."""
    # Hidden fields keep credentials at the top level secret. They come last, in the order of the settings.
    names = sorted([*_USED, _CREDENTIALS], key=lambda name: (name in _IN_CREDENTIALS, _position(name)))
    properties = {
        name: _credentials(order) if name == _CREDENTIALS else _field(name, order)
        for order, name in enumerate(names)
    }
    for name in _IN_CREDENTIALS:
        properties[name]["airbyte_hidden"] = True
    return protocol.ConnectorSpecification(
        connectionSpecification={
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Message histories of edna Pulse and of the Qlara partner gateway",
            "type": "object",
            "required": SETTINGS["required"],
            "properties": properties,
            "additionalProperties": True,
        },
        supportsIncremental=True,
        supported_destination_sync_modes=[
            protocol.DestinationSyncMode.overwrite,
            protocol.DestinationSyncMode.append,
            protocol.DestinationSyncMode.append_dedup,
        ],
    )


def settings(config: Any) -> dict[str, Any]:
    """Return the tap's settings with defaults. Raises `TapError` if they are not valid."""
    if not isinstance(config, dict) or not isinstance(config.get(_CREDENTIALS) or {}, dict):
        raise TapError(f"The config and its {_CREDENTIALS} must be JSON objects")
    credentials = config.get(_CREDENTIALS) or {}
    for name in config:
        if name.startswith(_SINGER_SETTINGS):
            raise TapError(f"Setting {name} has no effect in Airbyte: transform messages in the destination")
    for name in credentials.keys() - {"auth_type", *_IN_CREDENTIALS}:
        raise TapError(f"Setting {name} is unknown{validation.hint(name, _IN_CREDENTIALS)}")
    flat = {name: value for name, value in config.items() if name != _CREDENTIALS}
    flat |= {name: value for name, value in credentials.items() if name in _IN_CREDENTIALS}
    complete = validation.with_defaults(flat, _SCHEMA)
    if errors := validation.errors(complete, _SCHEMA):
        raise TapError("; ".join(errors))
    return complete


def warnings(config: Mapping[str, Any]) -> list[str]:
    """Return one line per valid but suspicious setting."""
    return [*validation.warnings(config, _SCHEMA)]


def _position(name: str) -> int:
    """Return a field's position among the settings: the credentials are where the first of them is."""
    return min(map([*_USED].index, _IN_CREDENTIALS if name == _CREDENTIALS else [name]))


def _field(name: str, order: int) -> dict[str, Any]:
    """Return a setting as a field of the form."""
    declaration = _USED[name]
    field = {key: value for key, value in declaration.items() if key not in {"secret", "writeOnly"}}
    # A form needs one type. Settings that may also be a text are a text.
    field["type"] = "string" if "string" in declaration["type"] else json_type(declaration)
    if "items" in declaration:
        field["items"] = {**declaration["items"], "type": json_type(declaration["items"])}
    if declaration.get("secret"):
        field["airbyte_secret"] = True
    return {**field, **_HINTS.get(name, {}), "order": order}


def _credentials(order: int) -> dict[str, Any]:
    return {
        "type": "object",
        "title": "Partner gateway: credentials",
        "description": "Enables the streams of the partner gateway.",
        "order": order,
        "oneOf": [
            {
                "title": title,
                "type": "object",
                "required": ["auth_type", *names],
                "properties": {
                    "auth_type": {"type": "string", "const": kind, "order": 0},
                    **{name: _field(name, place) for place, name in enumerate(names, start=1)},
                },
            }
            for title, (kind, names) in _ALTERNATIVES.items()
        ],
    }
