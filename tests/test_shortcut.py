"""The short way to stdout gives the SDK's lines, and steps aside where it would not."""

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
from singer_sdk.helpers._catalog import pop_deselected_record_properties
from singer_sdk.mapper import SameRecordTransform

from msghistory_sandbox.history import Message
from tap_msghistory.errors import TapError
from tap_msghistory.streams import MessageHistoryStream, fast_path
from tap_msghistory.tap import TapMessageHistory
from tests.support import END_MS, STREAMS, config, in_send_order, sync, truth, without_times

HASHED = {stream: {"address": "md5(address)" if stream == "edna_history" else None} for stream in STREAMS}


@pytest.fixture
def sdks_own_way(monkeypatch):
    """Close the shortcut, so that records go the way that the SDK has for them."""

    def close():
        monkeypatch.setattr(fast_path, "is_available", lambda _stream: False)

    return close


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
    "asked",
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
def test_both_ways_give_the_same_lines(life_like, sdks_own_way, asked):
    asked = dict(asked)
    deselected = asked.pop("deselected", None)
    settings = config(life_like, **asked)
    selection = None if deselected is None else catalog(settings, deselected)
    short = sync(settings, catalog=selection)
    sdks_own_way()
    long = sync(settings, catalog=selection)
    assert without_times(short.messages) == without_times(long.messages)
    assert {it["type"] for it in short.messages} == {"SCHEMA", "RECORD", "STATE"}


def test_both_ways_give_the_same_lines_for_odd_messages(sandbox, sdks_own_way):
    odd: list[dict[str, object]] = [
        {},
        {"newField": {"a": [1, None, 1e22]}},
        {"segments": "two", "content": '\u2028\u0000\U0001f69a"\\'},
        {"trafficType": ["AD", "HSM"], "SUBJECTID": 5, "subjectId": msgspec.UNSET},
        {"deliveryStatusAt": "2024-07-23T08:08:20+02:00", "comment": ""},
    ]
    for number, fields in enumerate(odd, start=1):
        sandbox.edna.add(Message(id=number, sent_ms=END_MS - number, channel="SMS", fields=fields))
    short = sync(config(sandbox))
    sdks_own_way()
    assert without_times(short.messages) == without_times(sync(config(sandbox)).messages)
    assert short.records("edna_history") == in_send_order("edna_history", short.records("edna_history"))


@pytest.mark.parametrize(
    ("settings", "open_"),
    [
        ({}, True),
        ({"stream_maps": {"__else__": "__NULL__"}}, False),
        ({"stream_maps": HASHED}, False),
        ({"flattening_enabled": True, "flattening_max_depth": 1}, False),
    ],
)
def test_it_is_taken_only_where_nothing_is_asked_of_the_sdk(settings, open_):
    assert fast_path.is_available(edna_stream(**settings)) is open_


def test_it_is_not_taken_in_a_test_run_or_with_children_or_versions():
    for attribute, value in (("ABORT_AT_RECORD_COUNT", 1), ("child_streams", [1]), ("_stream_version", 1)):
        stream = edna_stream()
        assert fast_path.is_available(stream)
        setattr(stream, attribute, value)
        assert not fast_path.is_available(stream)


def test_the_sdks_internals_are_where_the_tap_leans_on_them():
    """A release of the SDK that moves them must be looked at before it is taken."""
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
    assert callable(pop_deselected_record_properties)
    assert issubclass(SameRecordTransform, object)
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
def test_batch_files_hold_what_lines_would(life_like, tmp_path, settings):
    lines = sync(config(life_like, **settings))
    batches = sync(batch_settings(life_like, tmp_path, **settings))
    for stream in STREAMS:
        assert in_files(batches, stream) == lines.records(stream)
        assert batches.records(stream) == []
    assert batches.state == lines.state


def test_deselected_fields_stay_out_of_batch_files(life_like, tmp_path):
    settings = batch_settings(life_like, tmp_path)
    output = sync(settings, catalog=catalog(config(life_like), ["content", "address"]))
    records = in_files(output, "edna_history")
    assert len(records) == len(life_like.edna)
    assert not any({"content", "address"} & set(record) for record in records)


def test_a_state_covers_only_what_is_in_the_files_before_it(life_like, tmp_path):
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
                it["messageId"]
                for it in expected
                if it["sentOrReceivedAt"] <= bookmark.get("replication_key_value", "")
            }
            assert covered <= set(written)


def test_batch_files_are_not_compressed_where_compression_is_none(life_like, tmp_path):
    settings = batch_settings(life_like, tmp_path)
    settings["batch_config"]["encoding"]["compression"] = "none"
    output = sync(settings)
    batches = [it for it in output.messages if it["type"] == "BATCH" and it["stream"] == "edna_history"]
    paths = [Path(url2pathname(urlsplit(url).path)) for it in batches for url in it["manifest"]]
    assert {it["encoding"]["compression"] for it in batches} == {"none"}
    records = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    assert records == sync(config(life_like)).records("edna_history")


def test_batch_with_several_maps_of_a_stream_is_refused(life_like, tmp_path):
    maps = {
        "edna_history": {"content": None},
        "copy": {"__source__": "edna_history", "content": "content"},
    }
    with pytest.raises(TapError, match="several stream maps"):
        sync(batch_settings(life_like, tmp_path, stream_maps=maps))
    assert not list(tmp_path.glob("*edna_history*"))
