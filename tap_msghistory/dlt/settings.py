"""The source's settings: those of the tap, from arguments or from dlt's configuration."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Annotated, Any

from dlt.common.configuration import configspec, resolve_configuration
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.typing import SecretSentinel

from tap_msghistory.config import validation
from tap_msghistory.config.settings import FLATTENING_SETTINGS, SETTINGS, STREAM_MAP_SETTINGS
from tap_msghistory.errors import TapError
from tap_msghistory.schemas import types_of

logger = logging.getLogger("tap-msghistory.dlt")

#: Settings of the tap without effect in dlt, and what to use instead.
_REPLACEMENTS = {
    "objects_as_json": "Object columns are always JSON text",
    "batch_config": "There are no Singer messages",
    **dict.fromkeys(STREAM_MAP_SETTINGS, "Use add_map() of the resource. Its items are Arrow tables"),
    **dict.fromkeys(FLATTENING_SETTINGS, "Object columns are JSON text"),
}
#: Credentials and people's addresses, which dlt must not display or store in its traces. dlt reads them from
#: secrets.toml, from environment variables and from vaults, but not from config.toml.
_SENSITIVE = ("_api_key", "_username", "_password", "_address", "_export_sender", "_export_recipient")
_TYPES: Mapping[str, type] = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list}


def _hint(name: str, declaration: Mapping[str, Any]) -> Any:
    """Return the type of a setting for dlt. All settings are optional here; the validation is the tap's."""
    types = [_TYPES[type_] for type_ in types_of(declaration) if type_ != "null"]
    hint: Any = types[0] if len(types) == 1 else Any
    return (Annotated[hint, SecretSentinel] if name.endswith(_SENSITIVE) else hint) | None


def _spec() -> type[BaseConfiguration]:
    hints = {
        name: _hint(name, declaration)
        for name, declaration in SETTINGS["properties"].items()
        if name not in _REPLACEMENTS
    }
    fields = {**dict.fromkeys(hints), "__annotations__": hints, "__module__": __name__}
    return configspec(type("MessageHistorySettings", (BaseConfiguration,), fields))


MessageHistorySettings = _spec()


def resolve(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the valid settings, with defaults. Arguments take precedence over dlt's configuration.

    Raises `TapError` with all invalid settings.
    """
    known = MessageHistorySettings.get_resolvable_fields()
    for name in arguments:
        if name in _REPLACEMENTS:
            raise TapError(f"Setting {name} has no effect in dlt. {_REPLACEMENTS[name]}")
        if name not in known:
            raise TapError(f"Setting {name} is unknown{validation.hint(name, known)}")
    resolved = resolve_configuration(MessageHistorySettings(), explicit_value=arguments)
    config = validation.with_defaults({name: resolved[name] for name in known}, SETTINGS)
    if errors := validation.errors(config, SETTINGS):
        raise TapError("; ".join(errors))
    for warning in validation.warnings(config, SETTINGS):
        logger.warning(warning)
    return config
