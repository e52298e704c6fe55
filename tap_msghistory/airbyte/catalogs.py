"""The discovered catalog, and the streams, sync modes and columns that a configured one selects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from airbyte_protocol_dataclasses import models as protocol

from tap_msghistory.errors import TapError
from tap_msghistory.schemas import portable
from tap_msghistory.syncing.declarations import StreamDeclaration


class ConfiguredStream(NamedTuple):
    """A stream to read."""

    name: str
    is_full_refresh: bool
    columns: frozenset[str]  #: empty: all


def discovered(streams: Iterable[StreamDeclaration]) -> protocol.AirbyteCatalog:
    """Return the catalog of streams. All can resume, in both sync modes."""
    return protocol.AirbyteCatalog(
        [
            protocol.AirbyteStream(
                name=stream.name,
                json_schema=_json_schema(stream.schema),
                supported_sync_modes=[protocol.SyncMode.full_refresh, protocol.SyncMode.incremental],
                source_defined_cursor=True,
                default_cursor_field=[stream.replication_key],
                source_defined_primary_key=[[name] for name in stream.primary_keys],
                is_resumable=True,
            )
            for stream in streams
        ]
    )


def configured(content: Any) -> list[ConfiguredStream]:
    """Return the streams of a configured catalog, in its order. Raises `TapError`."""
    try:
        return [
            ConfiguredStream(
                name=str(entry["stream"]["name"]),
                is_full_refresh=protocol.SyncMode(entry["sync_mode"]) is protocol.SyncMode.full_refresh,
                columns=frozenset(entry["stream"].get("json_schema", {}).get("properties") or ()),
            )
            for entry in content["streams"]
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise TapError(
            "The file given with --catalog is not a configured Airbyte catalog, an object with streams, each "
            "with the member stream (from discover) and the sync_mode full_refresh or incremental"
        ) from error


def _json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with Airbyte's types. Records may have new columns after an upgrade."""
    emitted = portable(schema)
    for declaration in emitted["properties"].values():
        if declaration.get("format") == "date-time":
            declaration["airbyte_type"] = "timestamp_with_timezone"
    return {**emitted, "additionalProperties": True}
