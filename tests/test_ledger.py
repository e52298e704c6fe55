"""The ledger: its counts match the emitted records and the requests that the server received."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from msghistory_sandbox.faults import Faults
from msghistory_sandbox.history import Message
from tap_msghistory.errors import TapError
from tests.impatient import ImpatientTap
from tests.support import (
    END,
    END_MS,
    EXPORT,
    LEDGER,
    REJECTED,
    STREAMS,
    check_ledger,
    config,
    iso,
    selecting,
    sync,
)

EDNA, SMS = "edna_history", "partner_gateway_history_sms"
HOUR = timedelta(hours=1)


def total(output, column):
    return sum(row[column] for row in output.records(LEDGER))


def test_the_ledger_matches_the_records_and_its_windows_join(life_like):
    output = sync(config(life_like))
    check_ledger(output)
    for stream in STREAMS:
        windows = [row for row in output.records(LEDGER) if row["stream"] == stream]
        assert windows[0]["windowFrom"] == config(life_like)["start_date"]
        assert windows[-1]["windowTo"] == iso(END)
        assert {window["reason"] for window in windows} == {"new"}
    assert total(output, "messages") > 14_000


def test_the_ledger_counts_requests_and_retries_as_the_server_does(sandbox, life_like):
    sandbox.edna.add(*life_like.edna)
    sandbox.gateway["SMS"].add(*life_like.gateway["SMS"])
    sandbox.faults = Faults(error_rate=0.1, truncate_rate=0.1, html_rate=0.1, seed=1)
    output = sync(config(sandbox, page_size=100, concurrency=2))
    check_ledger(output)
    assert total(output, "requests") == len(sandbox.requests)
    assert total(output, "retries") > 50


def test_the_ledger_includes_windows_without_messages(sandbox):
    output = sync(config(sandbox))
    assert {(row["stream"], row["messages"], row["pages"]) for row in output.records(LEDGER)} == {
        (stream, 0, 1) for stream in STREAMS
    }


def test_the_ledger_gives_the_reason_for_each_window(sandbox):
    ages = {"revisit_after": ["P1D"], "visibility_lag": "PT0S"}
    first = sync(config(sandbox, **ages, end_date=iso(END - HOUR)))
    second = sync(config(sandbox, **ages), state=first.state)
    third = sync(config(sandbox, revisit_after=[], lookback="PT2H"), state=first.state)
    assert reasons(second) == [("revisit", END - 25 * HOUR, END - 24 * HOUR), ("new", END - HOUR, END)]
    assert reasons(third) == [("lookback", END - 3 * HOUR, END - HOUR), ("new", END - HOUR, END)]
    run_ids = [output.records(LEDGER)[0]["runId"] for output in (first, second, third)]
    assert len(set(run_ids)) == 3


def reasons(output):
    rows = [row for row in output.records(LEDGER) if row["stream"] == EDNA]
    return [
        (row["reason"], *(msgspec.convert(row[name], type=type(END)) for name in ("windowFrom", "windowTo")))
        for row in rows
    ]


def test_the_ledger_counts_rejected_messages_separately(sandbox):
    sandbox.edna.add(
        Message(id=1, sent_ms=END_MS, channel="SMS"),
        Message(id=2, sent_ms=END_MS, channel="SMS", fields={"messageId": "two"}),
    )
    output = sync(config(sandbox))
    check_ledger(output)
    (row,) = [row for row in output.records(LEDGER) if row["stream"] == EDNA]
    assert (row["messages"], row["rejected"]) == (1, 1)


def test_the_ledger_of_a_failed_run_has_the_complete_windows(sandbox, life_like):
    sandbox.edna.add(*life_like.edna)
    errors: list[TapError] = []
    sandbox.journal.watch = lambda request: refuse_from(sandbox, request, offset=3_000)
    output = sync(config(sandbox, page_size=1000), catch=errors.append)
    assert len(errors) == 1
    rows = [row for row in output.records(LEDGER) if row["stream"] == EDNA]
    assert sum(row["messages"] for row in rows) == len(output.records(EDNA))


def refuse_from(sandbox, request, offset):
    if offset <= request.offset < 9_000:
        sandbox.faults.force_status = 401


@pytest.mark.parametrize("maps", [{}, {"stream_maps": {LEDGER: {"secondsTwice": "seconds * 2"}}}])
def test_stream_maps_apply_to_the_ledger(sandbox, maps):
    (row, *_) = sync(config(sandbox, **maps)).records(LEDGER)
    assert row.get("secondsTwice") == (row["seconds"] * 2 if maps else None)


def test_a_deselected_ledger_costs_nothing(sandbox):
    selected = sync(config(sandbox))
    before = len(sandbox.requests)
    deselected = sync(config(sandbox), catalog=selecting(*STREAMS, REJECTED))
    assert selected.records(LEDGER)
    assert [message for message in deselected.messages if message.get("stream") == LEDGER] == []
    assert LEDGER not in deselected.state["bookmarks"]
    assert len(sandbox.requests) == 2 * before


def test_the_ledgers_schema_is_emitted_once_before_its_rows(life_like):
    messages = [message for message in sync(config(life_like)).messages if message.get("stream") == LEDGER]
    assert [message["type"] for message in messages].count("SCHEMA") == 1
    assert messages[0]["type"] == "SCHEMA"


def test_the_ledger_counts_the_requests_of_an_export(sandbox, life_like):
    sandbox.gateway["SMS"].add(*list(life_like.gateway["SMS"])[::6])
    settings = config(sandbox, partner_gateway_export=True)
    output = sync(settings, catalog=selecting(EXPORT, LEDGER), tap_class=ImpatientTap)
    check_ledger(output)
    assert total(output, "messages") == len(sandbox.gateway["SMS"])
    assert total(output, "requests") == len(sandbox.requests)
    assert {row["pages"] for row in output.records(LEDGER)} == {1}
