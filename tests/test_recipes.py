"""The recipe of docs/privacy.md, used unchanged."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from fnmatch import fnmatch
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from msghistory_sandbox.history import Message
from tests.processes import run_here
from tests.support import CHANNELS, END_MS, GATEWAY_STREAMS, LEDGER, REJECTED, ROOT, STREAMS, config, sync

HEADING = "Hashing addresses, dropping texts"
PEPPER = "pepper"
PHONE, TEXT = "35000777333", "CANARY"
SCHEMAS = {**dict.fromkeys(STREAMS, "partner_gateway_message"), "edna_history": "edna_message"}
SCHEMAS |= {REJECTED: "rejected_message", LEDGER: "sync_window"}


@pytest.fixture(scope="module")
def recipe():
    """Return the settings that the documentation shows, with a salt."""
    page = (ROOT / "docs" / "privacy.md").read_text()
    (section,) = re.findall(rf"^## {HEADING}\n(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL)
    (block,) = re.findall(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    settings = yaml.safe_load(block)["config"]
    assert settings.keys() == {"stream_maps", "stream_map_config"}
    assert settings["stream_map_config"]["salt"].startswith("$"), "the salt is not an environment variable"
    return {**settings, "stream_map_config": {"salt": PEPPER}}


@pytest.fixture
def personal(sandbox):
    """Valid and invalid messages with an address and texts in every possible field."""
    more = {"extra": PHONE, "more": [{TEXT: TEXT}], "comment": TEXT}
    other_types = {"address": int(PHONE), "content": [TEXT], "destination": int(PHONE), "body": [TEXT]}
    no_id = {"messageId": msgspec.UNSET}
    kinds: list[dict[str, Any]] = [{}, more, other_types, {"address": None, "destination": None}, no_id]
    for id_, fields in enumerate(kinds):
        message = Message(
            id=id_, sent_ms=END_MS - id_, channel="SMS", address=PHONE, text=TEXT, fields=fields
        )
        sandbox.edna.add(message)
        for channel in CHANNELS:
            channel_fields = {"messageId": str(id_), **fields}
            sandbox.gateway[channel].add(
                msgspec.structs.replace(message, channel=channel, fields=channel_fields)
            )
    return sandbox


def assert_nothing_personal(text):
    assert TEXT not in text
    assert PHONE not in text


@pytest.mark.parametrize(
    "more", [{}, {"flattening_enabled": True, "flattening_max_depth": 3}], ids=["", "flat"]
)
def test_addresses_are_hashed_and_texts_are_dropped(personal, recipe, more):
    output = sync(config(personal, **recipe, **more))
    assert_nothing_personal(json.dumps(output.messages))
    hashed = hashlib.sha256(f"{PEPPER}{PHONE}".encode()).hexdigest()
    for stream in STREAMS:
        address = "address" if stream == "edna_history" else "destination"
        found = {str(record["messageId"]): record[address] for record in output.records(stream)}
        assert found == {"0": hashed, "1": hashed, "2": None, "3": None}
    rejected = output.records(REJECTED)
    assert len({message["rejectionId"] for message in rejected}) == len(STREAMS)
    assert all(message["reason"] for message in rejected)


def test_schemas_contain_no_dropped_column_and_records_are_valid(personal, recipe):
    output = sync(config(personal, **recipe))
    schemas = {
        message["stream"]: message["schema"] for message in output.messages if message["type"] == "SCHEMA"
    }
    assert schemas.keys() == {*STREAMS, REJECTED, LEDGER}
    for stream, schema in schemas.items():
        assert not {"content", "comment", "body", "extraFields", "message"} & schema["properties"].keys()
        for record in output.records(stream):
            assert record.keys() == schema["properties"].keys()
            jsonschema.Draft202012Validator(schema).validate(record)


def test_the_recipe_covers_every_column_with_personal_data(recipe):
    for stream, name in SCHEMAS.items():
        (maps,) = (mapping for pattern, mapping in recipe["stream_maps"].items() if fnmatch(stream, pattern))
        properties = json.loads((ROOT / "schemas" / f"{name}.json").read_text())["properties"]
        personal = {
            name for name, declared in properties.items() if "Personal data" in declared["description"]
        }
        assert personal | ({"extraFields"} & properties.keys()) <= maps.keys()


def test_streams_that_the_recipe_does_not_name_are_dropped(recipe):
    maps = recipe["stream_maps"]
    assert maps["__else__"] == "__NULL__"
    named = [stream for stream in SCHEMAS if any(fnmatch(stream, pattern) for pattern in maps)]
    assert named == list(SCHEMAS)


def test_the_recipe_has_no_null_which_meltano_would_remove(recipe):
    assert "null" not in json.dumps(recipe)


@pytest.mark.parametrize("salt", [{}, {"salt": None}])
def test_without_a_salt_the_run_fails_and_writes_nothing(personal, recipe, tmp_path, salt):
    finished = run_here(config(personal, **{**recipe, "stream_map_config": salt}), tmp_path)
    assert finished.returncode == 1
    assert_nothing_personal(finished.stdout + finished.stderr)


def test_batch_files_do_not_bypass_the_recipe(personal, recipe, tmp_path):
    batch_config = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": tmp_path.as_uri(), "prefix": ""},
    }
    output = sync(config(personal, **recipe, batch_config=batch_config))
    assert_nothing_personal(json.dumps(output.messages))
    written = [path.read_bytes() for path in tmp_path.iterdir()]
    assert written, "no file was written, so the test is void"
    for content in written:
        text = gzip.decompress(content).decode()
        assert '"messageId"' in text
        assert_nothing_personal(text)


@pytest.mark.parametrize("pattern", ["*", "partner_gateway_history_*"])
def test_a_stream_map_may_apply_to_many_streams(personal, pattern):
    output = sync(config(personal, stream_maps={pattern: {"body": "__NULL__", "destination": "__NULL__"}}))
    for stream in GATEWAY_STREAMS.values():
        assert output.records(stream)
        assert not any({"body", "destination"} & record.keys() for record in output.records(stream))
