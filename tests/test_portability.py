"""Schemas and records in forms that most targets read."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from tests.processes import error_lines, run_here
from tests.support import EXPORT, REJECTED, config, selecting, sync
from tests.vendors import END, Vendor, edna_row

EDNA = "edna_history"
HOUR = timedelta(hours=1)
UNKNOWN = {"routing": {"country": "IT", "operators": ["a", 'b"'], "priority": None}, "segments": "two"}


@pytest.fixture
def server():
    rows = [
        edna_row(1, END - HOUR, **UNKNOWN),
        edna_row(2, END - HOUR),
        edna_row(3, END - HOUR, direction="", note="è"),
    ]
    with Vendor(rows).serve() as vendor:
        yield vendor


def schemas(output):
    return {
        message["stream"]: message["schema"] for message in output.messages if message["type"] == "SCHEMA"
    }


def nodes(schema):
    yield schema
    for declared in schema.get("properties", {}).values():
        yield from nodes(declared)


def emitted(server, **settings):
    output = sync(server.settings(objects_as_json=True, **settings))
    return output, output.records(EDNA), output.records(REJECTED)


@pytest.mark.parametrize("objects_as_json", [False, True])
@pytest.mark.parametrize("old_catalog", [False, True])
def test_schemas_have_a_form_that_most_targets_read(sandbox, objects_as_json, old_catalog):
    catalog = None
    if old_catalog:
        catalog = selecting(EDNA, "partner_gateway_history_sms", REJECTED, "sync_windows")
        for stream in catalog["streams"]:
            stream["schema"]["$schema"] = "https://json-schema.org/draft/2020-12/schema"
            stream["schema"]["properties"]["messageId"] = {"type": ["string"]}
    output = sync(config(sandbox, objects_as_json=objects_as_json), catalog=catalog)
    found = schemas(output)
    assert EDNA in found
    for schema in found.values():
        for node in nodes(schema):
            assert "$schema" not in node
            assert isinstance(node["type"], str) or len(node["type"]) > 1
            assert "object" not in node["type"] or isinstance(node["properties"], dict)
    kind = "string" if objects_as_json else "object"
    assert found[EDNA]["properties"]["extraFields"]["type"] == [kind, "null"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"stream_maps": {EDNA: {"comment": "__NULL__"}}},
        {"flattening_enabled": True, "flattening_max_depth": 3},
    ],
    ids=json.dumps,
)
def test_objects_are_json_text_if_enabled(server, settings):
    output, records, rejected = emitted(server, **settings)
    first, second = records
    assert json.loads(first["extraFields"]) == UNKNOWN
    assert second["extraFields"] is None
    (row,) = rejected
    assert json.loads(row["message"])["note"] == "è"
    found = schemas(output)
    assert set(found[EDNA]["properties"]["extraFields"]["type"]) == {"string", "null"}
    assert found[REJECTED]["properties"]["message"]["type"] == "string"


def test_objects_are_json_text_in_batch_files_too(server, tmp_path):
    storage = {"root": tmp_path.as_uri()}
    batch = {"encoding": {"format": "jsonl", "compression": "gzip"}, "storage": storage}
    output, _, _ = emitted(server, batch_config=batch)
    (url,) = [
        url
        for message in output.messages
        if message["type"] == "BATCH" and message["stream"] == EDNA
        for url in message["manifest"]
    ]
    lines = gzip.decompress(Path(url2pathname(urlsplit(url).path)).read_bytes()).splitlines()
    assert json.loads(json.loads(lines[0])["extraFields"]) == UNKNOWN


def test_an_old_catalog_does_not_declare_objects(server):
    catalog = selecting(EDNA, REJECTED)
    output = sync(server.settings(objects_as_json=True), catalog=catalog)
    assert schemas(output)[EDNA]["properties"]["extraFields"]["type"] == ["string", "null"]


def test_flattening_keeps_unknown_fields(server):
    output = sync(server.settings(flattening_enabled=True, flattening_max_depth=2))
    (first, _) = output.records(EDNA)
    assert json.loads(first["extraFields"]) == UNKNOWN
    assert "extraFields" in schemas(output)[EDNA]["properties"]


def test_an_empty_salt_is_refused(server, tmp_path):
    maps = {EDNA: {"address": "sha256(config['salt'] + address) if address else None"}}
    ended = run_here(server.settings(stream_maps=maps, stream_map_config={"salt": ""}), tmp_path)
    (line,) = error_lines(ended.stderr)
    assert "stream_map_config" in line
    assert (ended.stdout, ended.returncode, server.requests) == ("", 1, [])


def test_the_export_exists_only_if_enabled(sandbox):
    catalog = selecting(EXPORT)
    output = sync(config(sandbox), catalog=catalog)
    assert output.records(EXPORT) == []
    assert [request for request in sandbox.requests if "export" in request.path] == []
