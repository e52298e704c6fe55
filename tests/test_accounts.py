"""The setting `account`: a column and a part of the key in every stream, so accounts can share tables."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tap_msghistory.errors import TapError
from tests.exports import export
from tests.support import EXPORT, LEDGER, REJECTED, STREAMS, config, sync
from tests.vendors import END, Vendor, edna_row, gateway_row, spread

EDNA, SMS = "edna_history", "partner_gateway_history_sms"
HOUR = timedelta(hours=1)


def schemas(output):
    return {message["stream"]: message for message in output.messages if message["type"] == "SCHEMA"}


def test_without_an_account_no_stream_has_the_column(life_like):
    output = sync(config(life_like))
    for schema in schemas(output).values():
        assert "account" not in schema["schema"]["properties"]
        assert "account" not in schema["key_properties"]


def test_every_stream_has_the_account_in_its_key(life_like):
    output = sync(config(life_like, account="retail"))
    announced = schemas(output)
    assert announced.keys() == {*STREAMS, REJECTED, LEDGER}
    for stream, schema in announced.items():
        assert schema["schema"]["properties"]["account"]["type"] == "string"
        assert schema["key_properties"][-1] == "account"
        assert {record["account"] for record in output.records(stream)} <= {"retail"}
    assert output.records(LEDGER)


def test_records_are_otherwise_the_same(life_like):
    named, unnamed = sync(config(life_like, account="retail")), sync(config(life_like))
    for stream in STREAMS:
        expected = [{"account": "retail", **record} for record in unnamed.records(stream)]
        assert named.records(stream) == expected
    for stream in STREAMS:
        assert named.bookmark(stream) == {**unnamed.bookmark(stream), "account": "retail"}


def test_a_state_of_another_account_is_refused(life_like):
    state = sync(config(life_like, account="retail")).state
    for settings in (config(life_like, account="wholesale"), config(life_like)):
        errors: list[TapError] = []
        output = sync(settings, state=state, catch=errors.append)
        assert not output.records(EDNA)
        assert "belongs to another account" in str(errors[0])
    assert sync(config(life_like, account="retail"), state=state).state == state
    unnamed = sync(config(life_like)).state
    output = sync(config(life_like, account="retail"), state=unnamed, catch=errors.append)
    assert not output.records(EDNA)
    assert "was written without one" in str(errors[-1])


@pytest.mark.parametrize("unknown", [{}, {"account": "the vendor's"}, {"Account": 7}])
def test_a_vendors_field_of_that_name_is_kept_separately(unknown):
    rows = [edna_row(number, END - HOUR, **unknown) for number in range(1, 4)]
    with Vendor(rows).serve() as vendor:
        output = sync(vendor.settings(account="retail"))
    assert [record["account"] for record in output.records(EDNA)] == ["retail"] * 3
    assert [record["extraFields"] for record in output.records(EDNA)] == [unknown or None] * 3


def test_rejected_messages_name_their_account():
    rows = [edna_row(1, END - HOUR, direction=""), edna_row(2, END - HOUR)]
    with Vendor(rows).serve() as vendor:
        (rejected,) = sync(vendor.settings(account="retail")).records(REJECTED)
    assert rejected["account"] == "retail"
    assert rejected["message"]["messageId"] == 1


def test_shared_identifiers_within_an_account_are_still_rejected():
    rows = [gateway_row(number, END - HOUR, messageId="campaign") for number in range(3)]
    with Vendor(rows).serve() as vendor:
        output = sync(vendor.gateway_settings(account="retail"))
    assert len(output.records(SMS)) == 1
    assert len(output.records(REJECTED)) == 2


def test_windows_on_disk_have_the_account_too():
    rows = [
        edna_row(number, sent, text="x" * 60_000)
        for number, sent in enumerate(spread(300, timedelta(days=1)), start=1)
    ]
    with Vendor(rows).serve() as vendor:
        records = sync(vendor.settings(account="retail")).records(EDNA)
    assert [record["account"] for record in records] == ["retail"] * 300


def test_exported_messages_have_the_account(export_sandbox):
    output = export(export_sandbox, account="retail")
    assert schemas(output)[EXPORT]["key_properties"] == ["messageId", "channel", "account"]
    assert {record["account"] for record in output.records(EXPORT)} == {"retail"}
