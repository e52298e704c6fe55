"""The source's settings: those of the tap, from arguments or from dlt's configuration."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from dlt.common.configuration import configspec, resolve_configuration
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.typing import SecretSentinel

from tap_msghistory.config.interface import InterfaceSettings
from tap_msghistory.schemas import types_of

logger = logging.getLogger("tap-msghistory.dlt")

_SETTINGS = InterfaceSettings(
    "dlt",
    maps="Use add_map() of the resource. Its items are Arrow tables",
    objects="Object columns are always JSON text",
)
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
    hints = {name: _hint(name, declaration) for name, declaration in _SETTINGS.properties.items()}
    fields = {**dict.fromkeys(hints), "__annotations__": hints, "__module__": __name__}
    return configspec(type("MessageHistorySettings", (BaseConfiguration,), fields))


MessageHistorySettings = _spec()


def resolve(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the valid settings, with defaults. Arguments take precedence over dlt's configuration.

    Arguments may be dates and times. Raises `TapError` with all invalid settings.
    """
    _SETTINGS.check_names(arguments)
    arguments = {
        name: value.isoformat() if isinstance(value, date) else value for name, value in arguments.items()
    }
    resolved = resolve_configuration(MessageHistorySettings(), explicit_value=arguments)
    config = _SETTINGS.resolve({name: resolved[name] for name in _SETTINGS.properties})
    for warning in _SETTINGS.warnings(config):
        logger.warning(warning)
    return config
