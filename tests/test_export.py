"""The partner gateway's export: the records that arrive, in first and incremental runs."""

from __future__ import annotations

from datetime import timedelta
from itertools import accumulate

import hypothesis
import pytest

from msghistory_sandbox.export import DOWNLOAD_PATH, LIST_PATH, QUEUE_PATH
from msghistory_sandbox.history import Message
from tap_msghistory.vendors.partner_gateway_export import PartnerGatewayExportSource
from tests.exports import WINDOWS, all_messages, export, failing_export, queue_requests, requests_to
from tests.impatient import ImpatientTap
from tests.support import (
    END,
    END_MS,
    EXPORT,
    GATEWAY_STREAMS,
    REJECTED,
    config,
    iso,
    selecting,
    sync,
)
from tests.test_histories import Histories

AGES = (timedelta(hours=1), *(timedelta(days=days) for days in (1, 3, 7, 30)))


def test_a_first_export_emits_all_messages_once_in_order(export_sandbox):
    output = export(export_sandbox)
    assert len(output.records(EXPORT)) > 1_000
    assert output.records(EXPORT) == all_messages(export_sandbox)
    assert output.bookmark(EXPORT) == {
        "replication_key": "sendDate",
        "replication_key_value": iso(END),
        "as_of": iso(END),
        "read_from": iso(END - timedelta(days=90)),
    }
    assert len(queue_requests(export_sandbox)) == WINDOWS


def test_the_stream_is_disabled_by_default_and_documents_its_limits(life_like):
    before = len(requests_to(life_like, "GET", LIST_PATH)), len(queue_requests(life_like))  # of other tests
    output = sync(config(life_like))
    assert EXPORT not in {message.get("stream") for message in output.messages}
    assert (len(requests_to(life_like, "GET", LIST_PATH)), len(queue_requests(life_like))) == before
    assert "through the API" in PartnerGatewayExportSource.schema["description"]
    assert "campaigns" in PartnerGatewayExportSource.schema["description"]


def test_a_connection_test_lists_jobs_but_queues_none(export_sandbox):
    settings = config(export_sandbox, edna_api_key=None, partner_gateway_export=True)
    tap = ImpatientTap(config=settings, catalog=selecting(EXPORT))
    assert tap.run_connection_test()
    assert len(requests_to(export_sandbox, "GET", LIST_PATH)) == 1
    assert queue_requests(export_sandbox) == []


def test_a_rerun_without_new_messages_queues_no_job(export_sandbox):
    first = export(export_sandbox)
    before = len(export_sandbox.requests)
    second = export(export_sandbox, state=first.state)
    assert second.records(EXPORT) == []
    assert second.state == first.state
    assert len(export_sandbox.requests) == before


@pytest.mark.parametrize("pause", [timedelta(hours=6), timedelta(days=12)])
def test_an_incremental_export_emits_new_and_due_messages(export_sandbox, pause):
    before = END - pause
    export_sandbox.clock.advance(-pause.total_seconds())
    first = export(export_sandbox, end_date=iso(before))
    export_sandbox.clock.set(END_MS)
    jobs = len(queue_requests(export_sandbox))
    second = export(export_sandbox, state=first.state)
    due = [
        record
        for record in all_messages(export_sandbox)
        if any(iso(before - age) < record["sendDate"] <= iso(END - age) for age in (timedelta(0), *AGES))
    ]
    assert second.records(EXPORT) == due
    assert len(queue_requests(export_sandbox)) - jobs <= 1 + len(AGES)
    assert second.bookmark(EXPORT)["replication_key_value"] == iso(END)


def test_a_failed_export_resumes_after_its_last_complete_window(export_sandbox):
    export_sandbox.journal.watch = lambda _: setattr(
        export_sandbox.export_options, "fail_next", 9 if len(queue_requests(export_sandbox)) > 1 else 0
    )
    first, _ = failing_export(export_sandbox, export_concurrency=1)
    export_sandbox.journal.watch = None
    export_sandbox.export_options.fail_next = 0
    second = export(export_sandbox, state=first.state)
    assert first.bookmark(EXPORT)["replication_key_value"] == iso(END - timedelta(days=60))
    assert first.records(EXPORT) + second.records(EXPORT) == all_messages(export_sandbox)


def test_messages_at_window_boundaries_are_exported_once(sandbox):
    meeting_ms = END_MS - 60 * 86_400_000
    for number in range(-3, 4):
        sandbox.gateway["SMS"].add(
            Message(
                id=f"id {number}",
                sent_ms=meeting_ms + number,
                channel="SMS",
                address="39",
                text="Ciao",
                fields={"sender": "Shop"},
            )
        )
    assert export(sandbox).records(EXPORT) == all_messages(sandbox)


def test_the_fast_path_and_the_sdk_export_the_same_records(export_sandbox):
    written = export(export_sandbox).records(EXPORT)
    mapped = export(export_sandbox, stream_maps={EXPORT: {"body": None}}).records(EXPORT)
    assert mapped == [{name: record[name] for name in record if name != "body"} for record in written]


@pytest.mark.parametrize("concurrency", [1, 2])
def test_export_concurrency_limits_the_jobs_in_flight(export_sandbox, concurrency):
    export(export_sandbox, export_concurrency=concurrency, start_date=iso(END - timedelta(days=300)))
    steps = {QUEUE_PATH: 1, DOWNLOAD_PATH: -1}
    in_flight = list(
        accumulate(steps.get(request.path.partition("/export-")[0], 0) for request in export_sandbox.requests)
    )
    assert max(in_flight) == concurrency
    assert in_flight[-1] == 0


def test_export_filters_are_sent(export_sandbox):
    sender = next(message["sender"] for message in all_messages(export_sandbox) if message["sender"])
    output = export(export_sandbox, partner_gateway_export_sender=sender)
    assert output.records(EXPORT) == [
        message for message in all_messages(export_sandbox) if message["sender"] == sender
    ]
    recipient = all_messages(export_sandbox)[7]["destination"]
    output = export(export_sandbox, partner_gateway_export_recipient=recipient)
    assert output.records(EXPORT) == [
        message for message in all_messages(export_sandbox) if message["destination"] == recipient
    ]


def test_an_export_contains_only_messages_sent_through_the_api(export_sandbox):
    export_sandbox.export_options.only_named = True
    named = [message for message in all_messages(export_sandbox) if message["customerMessageId"]]
    assert export(export_sandbox).records(EXPORT) == named


@pytest.mark.parametrize("header", ["words", "camel", "snake"])
@pytest.mark.parametrize("semicolons", [False, True])
@pytest.mark.parametrize("variations", [{}, {"bom": True, "crlf": True, "decimal_comma": True}])
def test_every_csv_dialect_gives_the_same_records(export_sandbox, header, semicolons, variations):
    options = export_sandbox.export_options
    options.header, options.semicolons = header, semicolons
    for name, value in variations.items():
        setattr(options, name, value and (semicolons or name != "decimal_comma"))
    assert export(export_sandbox).records(EXPORT) == all_messages(export_sandbox)


def test_malformed_exported_messages_are_kept(sandbox):
    text = 'Caro "amico";\r\nciao, \U0001f600\u2028\n'
    fields = {"Campaign, name": "Spring", "parts": "many", "cost": "1.234,5"}
    sandbox.gateway["SMS"].add(
        Message(id="odd", sent_ms=END_MS - 5, channel="SMS", text=text, fields=fields),
        Message(id="", sent_ms=END_MS - 4, channel="SMS", text="no id"),
        Message(id="late", sent_ms=END_MS - 3, channel="SMS", fields={"sendDate": "yesterday"}),
    )
    output = export(sandbox)
    (record,) = output.records(EXPORT)
    assert (record["body"], record["parts"], record["cost"]) == (text, None, None)
    assert record["extraFields"] == {"Campaign, name": "Spring", "parts": "many", "cost": "1.234,5"}
    rejected = output.records(REJECTED)
    assert {message["reason"] for message in rejected} == {"no readable messageId", "no readable sendDate"}
    assert {message["stream"] for message in rejected} == {EXPORT}


class ExportHistories(Histories):
    """Random insertions, status changes, and complete and killed runs; the warehouse ends up equal."""

    stream = GATEWAY_STREAMS["SMS"]

    def run(self, *, keep_states):
        until = iso(END + timedelta(milliseconds=self.now_ms - END_MS))
        start = iso(END - timedelta(days=40))
        settings = {"start_date": start, "end_date": until, "visibility_lag": "PT0S"}
        kept = export(self.sandbox, state=self.state, **settings).messages
        if keep_states is not None:
            states = [at for at, message in enumerate(kept) if message["type"] == "STATE"]
            kept = kept[: states[min(keep_states, len(states) - 1)] + 1]
        for message in kept:
            if message["type"] == "RECORD":
                # CSV does not distinguish an empty text from a missing one.
                record = {"sender": "", "destination": "", "body": ""}
                record |= {name: value for name, value in message["record"].items() if value is not None}
                self.warehouse[record["messageId"]] = {name: record.get(name) for name in message["record"]}
            elif message["type"] == "STATE":
                self.state = message["value"]


TestExportHistories = ExportHistories.TestCase
TestExportHistories.settings = hypothesis.settings(max_examples=10, stateful_step_count=15)
