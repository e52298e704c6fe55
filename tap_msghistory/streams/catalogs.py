"""The user's catalog: selected columns and streams, and the replication method.

Everything else is defined by the tap. A catalog that was shortened by hand, or written by an older version,
may lack the columns that identify and order messages.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

from singer_sdk import Stream
from singer_sdk.singerlib import Catalog, Schema
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL, StreamMetadata

from tap_msghistory.errors import TapError
from tap_msghistory.schemas import object_columns

logger = logging.getLogger("tap-msghistory.catalogs")


def parse(content: dict[str, Any]) -> Catalog:
    """Return the catalog of a JSON object. Raises `TapError`.

    The SDK ignores `replication-method` in a stream's metadata, where the Singer specification and Meltano's
    `metadata` extra place it.
    """
    try:
        catalog = Catalog.from_dict(content)
        for stream in content["streams"]:
            entry = catalog[stream["tap_stream_id"]]
            for metadata in stream.get("metadata") or ():
                if not metadata["breadcrumb"]:
                    entry.replication_method = (
                        metadata["metadata"].get("replication-method") or entry.replication_method
                    )
    except (AttributeError, KeyError, TypeError) as error:
        raise TapError(
            "The file given with --catalog is not a Singer catalog: create it again with --discover"
        ) from error
    for name, count in Counter(stream["tap_stream_id"] for stream in content["streams"]).items():
        if count > 1:
            logger.warning("The catalog lists %s %d times; the last entry is used", name, count)
    return catalog


def complete(catalog: Catalog, streams: Iterable[Stream]) -> None:
    """Add the key, its columns and the replication key's column to each stream's entry.

    An entry without columns gets all columns. Raises `TapError` for an unknown replication method.
    """
    for stream in streams:
        entry = catalog.get_stream(stream.name)
        if entry is None:
            continue
        # Not `metadata.root`: it would add metadata that deselects the stream.
        metadata = cast("StreamMetadata | None", entry.metadata.get(()))
        method = entry.replication_method
        if metadata and metadata.forced_replication_method == REPLICATION_FULL_TABLE:
            method = REPLICATION_FULL_TABLE
        if method not in {None, REPLICATION_FULL_TABLE, REPLICATION_INCREMENTAL}:
            raise TapError(
                f"The catalog's replication method of {stream.name} must be {REPLICATION_INCREMENTAL} or "
                f"{REPLICATION_FULL_TABLE}"
            )
        entry.replication_method = method
        entry.key_properties, entry.replication_key = stream.primary_keys, stream.replication_key
        declared, catalog_schema = stream.schema["properties"], entry.schema.to_dict()
        columns = catalog_schema.get("properties") or declared
        # The form of object columns depends on objects_as_json.
        objects = {*object_columns({"properties": declared})} ^ {*object_columns({"properties": columns})}
        changed = objects & declared.keys() & columns.keys()
        columns = {**columns, **{name: declared[name] for name in changed}}
        required = {name: declared[name] for name in (*stream.primary_keys, stream.replication_key) if name}
        entry.schema = Schema.from_dict(
            {**catalog_schema, "type": "object", "properties": {**required, **columns}}
        )
