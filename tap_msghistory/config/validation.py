"""Checks all settings before the first request: one line per error or warning.

Each line names the setting and what is allowed. Lines contain no values, which may be keys or addresses,
except for unknown channel types.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from tap_msghistory.config.settings import KNOWN_CHANNEL_TYPES
from tap_msghistory.config.single_values import VALUE_CHECKS
from tap_msghistory.timestamps import parse_datetime

Config = Mapping[str, Any]

_TYPE_WORDS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}


def with_defaults(config: Config, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return `config` with defaults, without empty values, and with numbers instead of numeric text.

    Environment variables only contain text, and an unset setting is often an empty variable.
    """
    properties = schema["properties"]
    filled = {name: setting["default"] for name, setting in properties.items() if "default" in setting}
    filled |= {name: value for name, value in config.items() if value not in (None, "", [""])}
    for name, value in filled.items():
        types = properties.get(name, {}).get("type", ())
        if isinstance(value, str) and ("integer" in types or "number" in types):
            filled[name] = _as_number(value)
    return filled


def errors(config: Config, schema: Mapping[str, Any]) -> list[str]:
    """Return one line per invalid setting."""
    invalid = dict(_schema_errors(config, schema))
    for name, error in _value_errors(config):
        invalid.setdefault(name, error)
    if not invalid:
        invalid.update(_combination_errors(config))
    return [f"Setting {name} {error}" for name, error in invalid.items()]


def warnings(config: Config, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line per valid but suspicious setting."""
    known = schema["properties"]
    for name in config:
        if name not in known:
            yield f"Setting {name} is unknown and has no effect{hint(name, known)}"
    unknown = sorted(set(config.get("edna_channel_types", ())) - set(KNOWN_CHANNEL_TYPES))
    if unknown:
        yield (
            f"Setting edna_channel_types has channels that edna does not document: {', '.join(unknown)}; "
            "they are sent unchanged"
        )
    if config.get("partner_gateway_status"):
        yield (
            "Setting partner_gateway_status: a status that changes while pages are read moves messages "
            "between pages, and some may be missed"
        )


def hint(name: str, known: Iterable[str]) -> str:
    """Return a suggestion for an unknown name as the end of a line, or an empty string."""
    import difflib  # noqa: PLC0415 - a fifteenth of the startup time, and rarely needed

    close = difflib.get_close_matches(name, [other for other in known if other != name], n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _schema_errors(config: Config, schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for error in DEFAULT_JSONSCHEMA_VALIDATOR(schema).iter_errors(config):
        if not error.absolute_path:
            for name in error.validator_value:
                if name not in config:
                    yield name, f"is missing. {schema['properties'][name]['description']}"
        else:
            name = str(error.absolute_path[0])
            yield name, f"must be {_requirement(schema['properties'][name])}"


def _requirement(declaration: Mapping[str, Any]) -> str:
    type_ = next(type_ for type_ in declaration["type"] if type_ != "null")
    words = _TYPE_WORDS[type_]
    if "enum" in declaration:
        return f"one of {', '.join(declaration['enum'])}"
    if type_ == "array":
        items = declaration.get("items", {})
        values = f"with values from {', '.join(items['enum'])}" if "enum" in items else "of strings"
        return f"{words} {values}"
    if "maximum" in declaration:
        return f"{words} from {declaration['minimum']} to {declaration['maximum']}"
    if "minimum" in declaration:
        return f"{words} of at least {declaration['minimum']}"
    if "exclusiveMinimum" in declaration:
        return f"{words} above {declaration['exclusiveMinimum']}"
    return words


def _value_errors(config: Config) -> Iterator[tuple[str, str]]:
    """Check single values beyond the JSON Schema."""
    for name, (accepts, requirement) in VALUE_CHECKS.items():
        if name in config and not accepts(config[name]):
            yield name, f"must be {requirement}"


def _combination_errors(config: Config) -> Iterator[tuple[str, str]]:
    """Check combinations of valid values."""
    if not {"edna_api_key", "partner_gateway_api_key", "partner_gateway_username"} & set(config):
        yield (
            "edna_api_key",
            (
                "is missing: set it, or partner_gateway_api_key, or partner_gateway_username and "
                "partner_gateway_password"
            ),
        )
    if "end_date" in config and parse_datetime(config["end_date"]) < parse_datetime(config["start_date"]):
        yield "end_date", "must not be before start_date"
    if config.get("edna_traffic_types") and config.get("edna_direction") == "IN":
        yield (
            "edna_traffic_types",
            "cannot be combined with edna_direction IN: only outgoing messages have a traffic type",
        )
    for name, other in (
        ("edna_direction", "edna_message_id"),
        ("edna_subscriber_type", "edna_subscriber_address"),
        ("edna_subscriber_address", "edna_subscriber_type"),
        ("partner_gateway_password", "partner_gateway_username"),
        ("partner_gateway_username", "partner_gateway_password"),
    ):
        if other in config and name not in config:
            yield name, f"is required when {other} is set"


def _as_number(text: str) -> float | str:
    for read in (int, float):
        try:
            number = read(text)
        except ValueError:
            continue
        return number if math.isfinite(number) else text
    return text
