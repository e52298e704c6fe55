"""The discovered catalog, and the streams, sync modes and columns that a configured one selects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airbyte_protocol_dataclasses import models as protocol

from tap_msghistory.errors import TapError
from tap_msghistory.reading.source import HistorySource
from tap_msghistory.schemas import portable
from tap_msghistory.syncing.run import SyncRun
from tap_msghistory.vendors import enabled_sources

#: The times at which rows of the auxiliary streams are emitted. They order the versions of a row.
_AUXILIARY_CURSORS = {"rejected_messages": "rejectedAt", "sync_windows": "readAt"}


@dataclass(frozen=True, slots=True)
class Declaration:
    """The properties of a stream that both a catalog and a sync need."""

    name: str
    schema: dict[str, Any]
    primary_keys: tuple[str, ...]
    cursor: str
    source: HistorySource | None  #: None: an auxiliary stream


@dataclass(frozen=True, slots=True)
class ConfiguredStream:
    """A stream to read."""

    name: str
    is_full_refresh: bool
    columns: frozenset[str]  #: empty: all


def declarations(run: SyncRun) -> dict[str, Declaration]:
    """Return the streams that the settings enable, by name."""
    found = [
        Declaration(stream.name, stream.schema, stream.primary_keys, _AUXILIARY_CURSORS[stream.name], None)
        for stream in (run.rejected_messages, run.sync_windows)
    ]
    for source_type in enabled_sources(run.account.config):
        source = source_type(run.account)
        found.append(
            Declaration(source.name, source.schema, source.primary_keys, source.replication_key, source)
        )
    return {declaration.name: declaration for declaration in found}


def discovered(streams: Mapping[str, Declaration]) -> protocol.AirbyteCatalog:
    """Return the catalog of streams. All can resume, in both sync modes."""
    return protocol.AirbyteCatalog(
        [
            protocol.AirbyteStream(
                name=stream.name,
                json_schema=_json_schema(stream.schema),
                supported_sync_modes=[protocol.SyncMode.full_refresh, protocol.SyncMode.incremental],
                source_defined_cursor=True,
                default_cursor_field=[stream.cursor],
                source_defined_primary_key=[[name] for name in stream.primary_keys],
                is_resumable=True,
            )
            for stream in streams.values()
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
            "The file given with --catalog is not a configured Airbyte catalog with the sync modes "
            "full_refresh or incremental"
        ) from error


def _json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema with Airbyte's types. Records may have new columns after an upgrade."""
    emitted = portable(schema)
    properties = {
        name: {**declaration, "airbyte_type": "timestamp_with_timezone"}
        if declaration.get("format") == "date-time"
        else declaration
        for name, declaration in emitted["properties"].items()
    }
    return {**emitted, "properties": properties, "additionalProperties": True}
