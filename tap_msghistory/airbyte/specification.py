"""The form of the settings in Airbyte, and its conversion to the tap's settings."""

from __future__ import annotations

import logging
from typing import Any

from airbyte_protocol_dataclasses import models as protocol

from tap_msghistory.config import form
from tap_msghistory.config.interface import InterfaceSettings
from tap_msghistory.config.settings import SETTINGS

logger = logging.getLogger("tap-msghistory.airbyte")

_SETTINGS = InterfaceSettings(
    "Airbyte", maps="Transform messages in the destination", objects="Object columns are always nested"
)
_NAMES = {"writeOnly": "airbyte_secret", "hidden": "airbyte_hidden"}


def specification() -> protocol.ConnectorSpecification:
    """Return the form of the settings."""
    return protocol.ConnectorSpecification(
        connectionSpecification={
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Message histories of edna Pulse and of the Qlara partner gateway",
            "type": "object",
            "required": SETTINGS["required"],
            "properties": _with_airbyte_names(form.fields(_SETTINGS)),
            "additionalProperties": True,
        },
        supportsIncremental=True,
    )


def settings(config: Any) -> dict[str, Any]:
    """Return the tap's settings with defaults, and log warnings about suspicious ones. Raises `TapError`."""
    flat = form.flat(config)
    _SETTINGS.check_names(flat, allow_unknown=True)
    resolved = _SETTINGS.resolve(flat)
    for warning in _SETTINGS.warnings(resolved):
        logger.warning(warning)
    return resolved


def _with_airbyte_names(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {_NAMES.get(name, name): _with_airbyte_names(value) for name, value in schema.items()}
    return [*map(_with_airbyte_names, schema)] if isinstance(schema, list) else schema
