"""The SDK's standard tests, and checks that they lack."""

from __future__ import annotations

from collections import Counter

import jsonschema
import pytest
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from msghistory_sandbox.server import Sandbox
from tap_msghistory.tap import TapMessageHistory
from tests.support import END_MS, LEDGER, REJECTED, STREAMS, config, sync

_SANDBOX = Sandbox.generate(messages=400, seed=4, end_ms=END_MS)
#: The URLs are added when the sandbox is served; the streams must be known before.
_CONFIG = {"start_date": "2024-01-01", "edna_api_key": "key", "partner_gateway_api_key": "key"}


@pytest.fixture(scope="module", autouse=True)
def _served():
    with _SANDBOX.serve():
        _CONFIG.update(config(_SANDBOX))
        yield


# extraFields has a value only if a vendor sends undocumented fields.
@pytest.mark.filterwarnings("ignore:No records were available to test")
class TestStandard(
    get_tap_test_class(  # type: ignore[misc]
        TapMessageHistory,
        config=_CONFIG,
        # These tests limit the records: no export is queued, and no window is read completely.
        suite_config=SuiteConfig(max_records_limit=50, ignore_no_records_for_streams=[LEDGER, REJECTED]),
    )
):
    """The behaviour that the SDK expects of a tap."""


@pytest.fixture(scope="module")
def output(life_like):
    return sync(config(life_like))


@pytest.mark.parametrize("stream", STREAMS)
def test_keys_are_unique(output, stream):
    ids = Counter(record["messageId"] for record in output.records(stream))
    assert ids.most_common(1)[0][1] == 1


@pytest.mark.parametrize("stream", STREAMS)
def test_every_record_is_valid_by_the_emitted_schema(output, stream):
    types = [message["type"] for message in output.messages if message.get("stream") == stream]
    assert types[0] == "SCHEMA"
    (schema,) = (
        message["schema"]
        for message in output.messages
        if message["type"] == "SCHEMA" and message["stream"] == stream
    )
    validator = jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    for record in output.records(stream):
        validator.validate(record)


def test_the_last_line_is_the_final_state_of_all_streams(output):
    assert output.messages[-1]["type"] == "STATE"
    for stream in STREAMS:
        assert set(output.bookmark(stream)) == {
            "replication_key",
            "replication_key_value",
            "as_of",
            "read_from",
        }
