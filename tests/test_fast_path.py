"""The fast path writes the same lines as the SDK, and is used only where it does."""

from __future__ import annotations

import gzip
import inspect
import json
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import msgspec
import pytest
from singer_sdk import Stream
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.singerlib import SchemaMessage

from msghistory_sandbox.history import Message
from tap_msghistory.errors import TapError
from tap_msghistory.schemas import portable
from tap_msghistory.streams import MessageHistoryStream, fast_path
from tap_msghistory.tap import TapMessageHistory
from tests.support import END_MS, STREAMS, EagerTap, config, in_send_order, sync, truth, without_times

HASHED = {stream: {"address": "md5(address)" if stream == "edna_history" else None} for stream in STREAMS}


class SdkWriter(MsgSpecWriter):
    """The SDK's writer, with schemas in the tap's form."""

    def write_message(self, message):
        if isinstance(message, SchemaMessage):
            message.schema = portable(message.schema)
        super().write_message(message)


class SdkPathTap(EagerTap):
    """The tap on the SDK's path: the fast path needs the tap's own writer."""

    message_writer_class = SdkWriter  # type: ignore[assignment] # the tap expects its own


def edna_stream(**settings) -> MessageHistoryStream:
    tap = TapMessageHistory(config={"start_date": "2024-01-01", "edna_api_key": "key", **settings})
    stream = tap.streams["edna_history"]
    assert isinstance(stream, MessageHistoryStream)
    return stream


def catalog(tap_config, deselected=()):
    found = TapMessageHistory(config=tap_config).catalog_dict
    for stream in found["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = stream["tap_stream_id"] in STREAMS and (
                entry["breadcrumb"][1:] not in [[name] for name in deselected]
            )
    return found


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stream_maps": HASHED},
        {"stream_maps": {"edna_history": {"__filter__": "direction == 'OUT'", "__alias__": "out"}}},
        {"stream_maps": {"edna_history": None}},
        {"stream_maps": {"edna_history": {"content": "__NULL__"}}},
        {"flattening_enabled": True, "flattening_max_depth": 2},
        {"deselected": ["content", "body", "extraFields"]},
        {"deselected": []},
    ],
)
def test_the_fast_path_and_the_sdk_write_the_same_lines(life_like, options):
    options = dict(options)
    deselected = options.pop("deselected", None)
    settings = config(life_like, **options)
    selection = None if deselected is None else catalog(settings, deselected)
    fast = sync(settings, catalog=selection)
    slow = sync(settings, catalog=selection, tap_class=SdkPathTap)
    assert without_times(fast.messages) == without_times(slow.messages)
    assert {message["type"] for message in fast.messages} == {"SCHEMA", "RECORD", "STATE"}


def test_both_paths_write_the_same_lines_for_malformed_messages(sandbox):
    malformed: list[dict[str, object]] = [
        {},
        {"newField": {"a": [1, None, 1e22]}},
        {"segments": "two", "content": '\u2028\u0000\U0001f69a"\\'},
        {"trafficType": ["AD", "HSM"], "SUBJECTID": 5, "subjectId": msgspec.UNSET},
        {"deliveryStatusAt": "2024-07-23T08:08:20+02:00", "comment": ""},
    ]
    for number, fields in enumerate(malformed, start=1):
        sandbox.edna.add(Message(id=number, sent_ms=END_MS - number, channel="SMS", fields=fields))
    fast, slow = sync(config(sandbox)), sync(config(sandbox), tap_class=SdkPathTap)
    assert without_times(fast.messages) == without_times(slow.messages)
    assert fast.records("edna_history") == in_send_order("edna_history", fast.records("edna_history"))


@pytest.mark.parametrize(
    ("settings", "is_available"),
    [
        ({}, True),
        ({"stream_maps": {"__else__": "__NULL__"}}, False),
        ({"stream_maps": HASHED}, False),
        ({"flattening_enabled": True, "flattening_max_depth": 1}, False),
    ],
)
def test_the_fast_path_is_unavailable_with_features_of_the_sdk(settings, is_available):
    assert fast_path.is_available(edna_stream(**settings)) is is_available


def test_the_fast_path_is_unavailable_in_dry_runs():
    """Nor with child streams, nor with a version, which would be part of the records."""
    for attribute, value in (("ABORT_AT_RECORD_COUNT", 1), ("child_streams", [1]), ("_stream_version", 1)):
        stream = edna_stream()
        assert fast_path.is_available(stream)
        setattr(stream, attribute, value)
        assert not fast_path.is_available(stream)


def test_the_sdk_has_the_internals_that_the_tap_uses():
    """A release of the SDK that changes them must be reviewed before it is allowed."""
    assert str(inspect.signature(Stream._sync_records)) == (
        "(self, context: 'types.Context | None' = None, *, write_messages: 'bool' = True)"
        " -> 't.Generator[dict, t.Any, t.Any]'"
    )
    sync_source = inspect.getsource(Stream.sync)
    assert "for _ in self._sync_records(context=context):" in sync_source
    assert "self._sync_batches(batch_config, context=context)" in sync_source
    source = inspect.getsource(Stream._generate_record_messages)
    steps = [
        "pop_deselected_record_properties(",
        "conform_record_data_types(",
        "stream_map.transform(record)",
        "yield singer.RecordMessage(",
    ]
    assert [source.find(step) for step in steps] == sorted(source.find(step) for step in steps)
    assert all(step in source for step in steps)
    for name in ("_increment_stream_state", "_write_starting_replication_value", "_write_state_message"):
        assert f"self.{name}(" in inspect.getsource(Stream._sync_records)


# BATCH: the same records, in files.


def batch_settings(sandbox, directory, **settings):
    return config(
        sandbox,
        batch_config={
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": directory.as_uri()},
            "batch_size": 1_700,
        },
        **settings,
    )


def in_files(output, stream):
    records = []
    for message in output.messages:
        if message["type"] == "BATCH" and message["stream"] == stream:
            for url in message["manifest"]:
                with gzip.open(Path(url2pathname(urlsplit(url).path))) as file:
                    records += [json.loads(line) for line in file]
    return records


@pytest.mark.parametrize(
    "settings", [{}, {"stream_maps": HASHED}, {"flattening_enabled": True, "flattening_max_depth": 1}]
)
def test_batch_files_contain_the_same_records_as_lines(life_like, tmp_path, settings):
    lines = sync(config(life_like, **settings))
    batches = sync(batch_settings(life_like, tmp_path, **settings))
    for stream in STREAMS:
        assert in_files(batches, stream) == lines.records(stream)
        assert batches.records(stream) == []
    assert batches.state == lines.state


def test_batch_files_do_not_contain_deselected_fields(life_like, tmp_path):
    settings = batch_settings(life_like, tmp_path)
    output = sync(settings, catalog=catalog(config(life_like), ["content", "address"]))
    records = in_files(output, "edna_history")
    assert len(records) == len(life_like.edna)
    assert not any({"content", "address"} & set(record) for record in records)


def test_a_state_covers_only_messages_in_earlier_batch_files(life_like, tmp_path):
    output = sync(batch_settings(life_like, tmp_path, page_size=100))
    expected = truth(life_like, "edna_history")
    written = []
    for message in output.messages:
        if message["type"] == "BATCH" and message["stream"] == "edna_history":
            for url in message["manifest"]:
                with gzip.open(Path(url2pathname(urlsplit(url).path))) as file:
                    written += [json.loads(line)["messageId"] for line in file]
        elif message["type"] == "STATE":
            bookmark = message["value"]["bookmarks"].get("edna_history", {})
            covered = {
                record["messageId"]
                for record in expected
                if record["sentOrReceivedAt"] <= bookmark.get("replication_key_value", "")
            }
            assert covered <= set(written)


def test_batch_files_can_be_uncompressed(life_like, tmp_path):
    settings = batch_settings(life_like, tmp_path)
    settings["batch_config"]["encoding"]["compression"] = "none"
    output = sync(settings)
    batches = [
        message
        for message in output.messages
        if message["type"] == "BATCH" and message["stream"] == "edna_history"
    ]
    paths = [Path(url2pathname(urlsplit(url).path)) for batch in batches for url in batch["manifest"]]
    assert {batch["encoding"]["compression"] for batch in batches} == {"none"}
    records = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    assert records == sync(config(life_like)).records("edna_history")


def test_batch_files_with_several_stream_maps_are_refused(life_like, tmp_path):
    maps = {
        "edna_history": {"content": None},
        "copy": {"__source__": "edna_history", "content": "content"},
    }
    with pytest.raises(TapError, match="several stream maps"):
        sync(batch_settings(life_like, tmp_path, stream_maps=maps))
    assert not list(tmp_path.glob("*edna_history*"))
