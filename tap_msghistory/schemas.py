"""The record schemas, and the forms in which they are emitted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from singer_sdk.schema.source import SchemaDirectory

_PACKAGE = Path(__file__).parent
#: In a wheel the schemas lie in the package, in a checkout (an editable install) beside it.
_DIRECTORIES = (_PACKAGE / "schemas", _PACKAGE.parent / "schemas")

SCHEMAS = SchemaDirectory(next(path for path in _DIRECTORIES if path.is_dir()))


def types_of(declaration: Mapping[str, Any]) -> list[str]:
    """Return the JSON types of a property, of which JSON Schema allows one or a list."""
    types = declaration.get("type", [])
    return [types] if isinstance(types, str) else [*types]


def object_columns(schema: Mapping[str, Any]) -> list[str]:
    """Return the names of a schema's properties that are objects."""
    return [name for name, declaration in schema["properties"].items() if "object" in types_of(declaration)]


def with_objects_as_text(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema whose object properties are JSON text instead."""
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
    """Return a schema in the form that the most targets read.

    Some refuse a `$schema` that they do not know, take a list of one type for a type that may be null, or
    fail at objects without `properties`. The SDK's flattening drops objects that have them, so they are
    added after it.
    """
    emitted = {name: value for name, value in schema.items() if name != "$schema"}
    if "type" in schema:
        types = types_of(schema)
        emitted["type"] = types if len(types) > 1 else types[0]
        if "object" in types:
            properties = schema.get("properties") or {}
            emitted["properties"] = {name: portable(property_) for name, property_ in properties.items()}
    return emitted
