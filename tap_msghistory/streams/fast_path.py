"""The fast path from records to stdout, used if no per-record feature of the SDK is enabled.

The SDK spends about 90 µs per record, mostly on features that are off. All dependencies on the SDK's
internals are in this module and in the signature of `Stream._sync_records`. A test compares both paths.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import msgspec
from singer_sdk import Stream
from singer_sdk.mapper import SameRecordTransform

from tap_msghistory.output import record_lines
from tap_msghistory.streams.writer import Writer

_encoder = msgspec.json.Encoder()


def is_available(stream: Stream) -> bool:
    """Return whether the stream's lines are the same on both paths."""
    return (
        stream.selected
        and stream.ABORT_AT_RECORD_COUNT is None  # a dry run
        and stream._stream_version is None  # noqa: SLF001 - it would be part of the records
        and not stream.child_streams
        and _has_no_maps(stream)
        and _selects_all(stream)
    )


def write(writer: Writer, stream: str, records: list[Any]) -> None:
    """Write a RECORD line for each record, as the SDK would."""
    now = _encoder.encode(datetime.now(timezone.utc))
    head = b'{"type":"RECORD","stream":' + _encoder.encode(stream) + b',"record":'
    tail = b',"time_extracted":' + now + b"}"
    for lines in record_lines(head, records, tail):
        writer.write_lines(lines)


def _has_no_maps(stream: Stream) -> bool:
    return (
        all(
            type(stream_map) is SameRecordTransform
            and stream_map.stream_alias == stream.name
            and not stream_map.flattening_enabled
            for stream_map in stream.stream_maps
        )
        and len(stream.stream_maps) == 1
    )


def _selects_all(stream: Stream) -> bool:
    columns = stream.schema["properties"].keys()
    return columns == stream.effective_schema["properties"].keys() and all(
        stream.mask[("properties", name)] for name in columns
    )
