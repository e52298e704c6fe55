"""The record schemas, and the forms in which they are emitted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ACCOUNT = "account"
_ACCOUNT_PROPERTY = {"type": "string", "description": "Name of the account, from the setting `account`."}

_PACKAGE = Path(__file__).parent
#: In a wheel the schemas are inside the package, in a checkout (an editable install) next to it.
_DIRECTORIES = (_PACKAGE / "schemas", _PACKAGE.parent / "schemas")


def load_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema `schemas/{name}.json`."""
    directory = next(path for path in _DIRECTORIES if path.is_dir())
    schema: dict[str, Any] = json.loads((directory / f"{name}.json").read_text(encoding="utf-8"))
    return schema


def with_account(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with the column `account` before its other columns."""
    return {
        **schema,
        "required": [ACCOUNT, *schema["required"]],
        "properties": {ACCOUNT: _ACCOUNT_PROPERTY, **schema["properties"]},
    }


def types_of(declaration: Mapping[str, Any]) -> list[str]:
    """Return the JSON types of a property; JSON Schema allows one type or a list."""
    types = declaration.get("type", [])
    return [types] if isinstance(types, str) else [*types]


def json_type(declaration: Mapping[str, Any]) -> str:
    """Return the non-null JSON type of a property."""
    (type_,) = (type_ for type_ in types_of(declaration) if type_ != "null")
    return type_


def object_columns(schema: Mapping[str, Any]) -> list[str]:
    """Return the names of a schema's properties that are objects."""
    return [name for name, declaration in schema["properties"].items() if "object" in types_of(declaration)]


def with_objects_as_text(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with its object properties as JSON text."""
    properties = dict(schema["properties"])
    for name in object_columns(schema):
        declaration = properties[name]
        types = ["string" if type_ == "object" else type_ for type_ in types_of(declaration)]
        properties[name] = {
            "type": types if len(types) > 1 else types[0],
            "description": f"{declaration.get('description', '')} As JSON text.".strip(),
        }
    return {**schema, "properties": properties}


def portable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema in the form that most targets can read.

    Some targets reject an unknown `$schema`, read a list of one type as a nullable type, or fail on objects
    without `properties`. The SDK's flattening drops objects that have `properties`, so this function must run
    after flattening.
    """
    emitted = {name: value for name, value in schema.items() if name != "$schema"}
    if "type" in schema:
        types = types_of(schema)
        emitted["type"] = types if len(types) > 1 else types[0]
        if "object" in types:
            properties = schema.get("properties") or {}
            emitted["properties"] = {name: portable(property_) for name, property_ in properties.items()}
    return emitted
