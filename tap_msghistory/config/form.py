"""The settings as a form: a JSON Schema for user interfaces, in which a vendor's credentials are a choice.

Fields have the additional members `order` (their position), `hidden` and `pattern_descriptor` (the pattern in
words). Secrets have the member `writeOnly`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tap_msghistory.config.interface import InterfaceSettings
from tap_msghistory.config.validation import hint
from tap_msghistory.errors import TapError
from tap_msghistory.schemas import json_type

Fields = dict[str, dict[str, Any]]

#: The field with the choice, and for each kind of credentials its title and its settings.
_CREDENTIALS = "partner_gateway_credentials"
_KINDS = {
    "api_key": ("API key", ("partner_gateway_api_key",)),
    "password": ("Username and password", ("partner_gateway_username", "partner_gateway_password")),
}
_IN_CREDENTIALS = {name for _, names in _KINDS.values() for name in names}

# No `format`: a date without a time is not a `date-time`.
_TIME = {
    "pattern": r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$",
    "pattern_descriptor": "YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ",
}
_DURATION = {"pattern": r"^P[0-9WDTHMS.,]+$", "pattern_descriptor": "ISO 8601 duration"}
_URL = {"pattern": r"^https?://\S+$", "pattern_descriptor": "https://"}
_PATTERNS: Mapping[str, Mapping[str, str]] = {
    **dict.fromkeys(("start_date", "end_date"), _TIME),
    **dict.fromkeys(("lookback", "visibility_lag"), _DURATION),
    **dict.fromkeys(("edna_base_url", "partner_gateway_base_url"), _URL),
}


def fields(settings: InterfaceSettings) -> Fields:
    """Return the fields of all settings, by name.

    The settings in the choice are also fields, but hidden: a config that was written by hand may have them at
    the top level, where secrets must stay secret.
    """
    found: Fields = {}
    for name, declaration in settings.properties.items():
        found[name] = _field(name, declaration)
        if name in _IN_CREDENTIALS:
            found[name]["hidden"] = True
            found.setdefault(_CREDENTIALS, _choice(settings))
    return _ordered(found)


def flat(config: Any) -> dict[str, Any]:
    """Return the tap's settings from a submitted form. Raises `TapError` for incomplete credentials."""
    credentials = isinstance(config, dict) and (config.get(_CREDENTIALS) or {})
    if not isinstance(credentials, dict):
        raise TapError(f"The config and its {_CREDENTIALS} must be JSON objects")
    for name in credentials.keys() - {"auth_type", *_IN_CREDENTIALS}:
        raise TapError(f"Setting {name} is unknown{hint(name, _IN_CREDENTIALS)}")
    settings = {name: value for name, value in config.items() if name != _CREDENTIALS}
    settings |= {name: value for name, value in credentials.items() if name != "auth_type"}
    auth_type = credentials.get("auth_type")
    if auth_type is None:
        return settings
    names = next((names for kind, (_, names) in _KINDS.items() if kind == auth_type), ())
    if not names or not all(map(credentials.get, names)):
        kinds = ", or ".join(f"{kind} with {' and '.join(names)}" for kind, (_, names) in _KINDS.items())
        raise TapError(f"Setting {_CREDENTIALS}: auth_type must be {kinds}")
    # The other kind may be left over from an earlier choice.
    return {name: value for name, value in settings.items() if name not in _IN_CREDENTIALS.difference(names)}


def _choice(settings: InterfaceSettings) -> dict[str, Any]:
    kinds = []
    for kind, (title, names) in _KINDS.items():
        members = {name: _field(name, settings.properties[name]) for name in names}
        members = {"auth_type": {"type": "string", "const": kind}, **members}
        kinds.append(
            {"title": title, "type": "object", "required": [*members], "properties": _ordered(members)}
        )
    return {
        "type": "object",
        "title": "Partner gateway: credentials",
        "description": "Enables the streams of the partner gateway.",
        "oneOf": kinds,
    }


def _field(name: str, declaration: Mapping[str, Any]) -> dict[str, Any]:
    field = {key: value for key, value in declaration.items() if key != "secret"}
    # A form needs one type. A setting that may also be text becomes a text field.
    field["type"] = "string" if "string" in declaration["type"] else json_type(declaration)
    if "items" in declaration:
        field["items"] = {**declaration["items"], "type": json_type(declaration["items"])}
    return {**field, **_PATTERNS.get(name, {})}


def _ordered(found: Fields) -> Fields:
    return {name: {**field, "order": order} for order, (name, field) in enumerate(found.items())}
