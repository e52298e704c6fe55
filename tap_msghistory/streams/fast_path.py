"""The short way of records to stdout, for users who have asked for nothing that the SDK does a record.

The SDK spends some 90 µs on each, mostly on features that are off. All that this leans on of the SDK's
internals stands here and in `Stream._sync_records`'s signature; a test holds both ways against each other.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.mapper import SameRecordTransform

from tap_msghistory.streams.writer import Writer

if TYPE_CHECKING:
    from tap_msghistory.streams.base import MessageHistoryStream

#: Lines a write: enough to make calls cheap, few enough for a signal to be heeded soon.
_LINES_A_WRITE = 500

_encoder = msgspec.json.Encoder()


def is_open(stream: MessageHistoryStream) -> bool:
    """Return whether the stream's lines are the same either way."""
    return (
        stream.selected
        and stream.ABORT_AT_RECORD_COUNT is None  # --test
        and stream._stream_version is None  # noqa: SLF001 - records would tell it
        and not stream.child_streams
        and _maps_nothing(stream)
        and _selects_all(stream)
    )


def write(writer: Writer, stream: str, records: list[Any]) -> None:
    """Write a RECORD line for each record, as the SDK would."""
    now = _encoder.encode(datetime.now(timezone.utc))
    head = b'{"type":"RECORD","stream":' + _encoder.encode(stream) + b',"record":'
    tail = b',"time_extracted":' + now + b"}\n"
    for start in range(0, len(records), _LINES_A_WRITE):
        # A line break can only stand between records: within one, JSON has it as \\n.
        lines = _encoder.encode_lines(records[start : start + _LINES_A_WRITE]).replace(b"\n", tail + head)
        writer.write_lines(b"".join((head, memoryview(lines)[: -len(head)])))


def _maps_nothing(stream: MessageHistoryStream) -> bool:
    return (
        all(
            type(stream_map) is SameRecordTransform
            and stream_map.stream_alias == stream.name
            and not stream_map.flattening_enabled
            for stream_map in stream.stream_maps
        )
        and len(stream.stream_maps) == 1
    )


def _selects_all(stream: MessageHistoryStream) -> bool:
    columns = stream.schema["properties"].keys()
    return columns == stream.effective_schema["properties"].keys() and all(
        stream.mask[("properties", name)] for name in columns
    )
