"""The gateway's asynchronous export: everything arrives once, whatever goes wrong on the way."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from itertools import accumulate, islice
from pathlib import Path
from typing import get_args

import hypothesis
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from msghistory_sandbox.clock import Clock
from msghistory_sandbox.export import DOWNLOAD_PATH, LIST_PATH, QUEUE_PATH
from msghistory_sandbox.faults import Faults
from msghistory_sandbox.history import Message
from msghistory_sandbox.options import Break
from msghistory_sandbox.server import Sandbox
from tap_msghistory.errors import ApiError, TapError
from tap_msghistory.planning.windows import Reason, Window
from tap_msghistory.reading import spool as spool_module
from tap_msghistory.reading.spool import Spool
from tap_msghistory.stats import WindowStats
from tap_msghistory.streams import PartnerGatewayExportStream
from tap_msghistory.tap import TapMessageHistory
from tap_msghistory.vendors.partner_gateway_export import PartnerGatewayExportSource
from tap_msghistory.vendors.partner_gateway_export.download import Downloader
from tap_msghistory.vendors.partner_gateway_export.jobs import POLL_SCHEDULE
from tests.impatient import ImpatientTap
from tests.support import (
    END,
    END_MS,
    EXPORT,
    GATEWAY_STREAMS,
    REJECTED,
    config,
    in_send_order,
    iso,
    selecting,
    sync,
    truth,
)
from tests.test_histories import Histories

AGES = (timedelta(hours=1), *(timedelta(days=days) for days in (1, 3, 7, 30)))
WINDOWS = 3  # of 30 days, from the tests' start date to their end
MEMORY_MB = 150
MANY = 400_000  # messages, of which each takes more than a kB as an object


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch):
    """Let tries follow each other at once."""
    monkeypatch.setattr("backoff.full_jitter", lambda _: 0.0)


@pytest.fixture
def filled(sandbox, life_like):
    for channel, history in life_like.gateway.items():
        sandbox.gateway[channel].add(*list(history)[::6])
    return sandbox


def export(sandbox, *, state=None, catch=None, **settings):
    return sync(
        config(sandbox, edna_api_key=None, partner_gateway_export=True, **settings),
        state=state,
        catalog=selecting(EXPORT, REJECTED),
        catch=catch,
        tap_class=ImpatientTap,
    )


def failing(sandbox, **settings):
    errors: list[TapError] = []
    output = export(sandbox, catch=errors.append, **settings)
    (error,) = errors
    return output, error


def all_messages(sandbox):
    return in_send_order(EXPORT, [it for name in GATEWAY_STREAMS.values() for it in truth(sandbox, name)])


def asked(sandbox, method, path):
    """Requests to a path, or below it."""
    return [
        it
        for it in sandbox.requests
        if it.method == method and (it.path == path or it.path.startswith(f"{path}/"))
    ]


def queued(sandbox):
    return asked(sandbox, "POST", QUEUE_PATH)


# What arrives.


def test_a_first_run_brings_every_message_of_all_channels_once_in_send_order(filled):
    output = export(filled)
    assert len(output.records(EXPORT)) > 1_000
    assert output.records(EXPORT) == all_messages(filled)
    assert output.bookmark(EXPORT) == {
        "replication_key": "sendDate",
        "replication_key_value": iso(END),
        "as_of": iso(END),
        "read_from": iso(END - timedelta(days=90)),
    }
    assert len(queued(filled)) == WINDOWS


def test_it_does_not_exist_by_default_and_says_what_it_leaves_out(life_like):
    before = len(asked(life_like, "GET", LIST_PATH)), len(queued(life_like))  # by other tests
    output = sync(config(life_like))
    assert EXPORT not in {message.get("stream") for message in output.messages}
    assert (len(asked(life_like, "GET", LIST_PATH)), len(queued(life_like))) == before
    assert "through the API" in PartnerGatewayExportSource.schema["description"]
    assert "campaigns" in PartnerGatewayExportSource.schema["description"]


def test_a_test_run_asks_for_the_list_of_jobs_but_queues_none(filled):
    settings = config(filled, edna_api_key=None, partner_gateway_export=True)
    tap = ImpatientTap(config=settings, catalog=selecting(EXPORT))
    assert tap.run_connection_test()
    assert len(asked(filled, "GET", LIST_PATH)) == 1
    assert queued(filled) == []


def test_a_rerun_with_nothing_new_queues_no_job_and_emits_nothing(filled):
    first = export(filled)
    before = len(filled.requests)
    second = export(filled, state=first.state)
    assert second.records(EXPORT) == []
    assert second.state == first.state
    assert len(filled.requests) == before


@pytest.mark.parametrize("pause", [timedelta(hours=6), timedelta(days=12)])
def test_an_incremental_run_brings_what_is_new_and_what_has_reached_an_age(filled, pause):
    before = END - pause
    filled.clock.advance(-pause.total_seconds())
    first = export(filled, end_date=iso(before))
    filled.clock.set(END_MS)
    jobs = len(queued(filled))
    second = export(filled, state=first.state)
    due = [
        record
        for record in all_messages(filled)
        if any(iso(before - age) < record["sendDate"] <= iso(END - age) for age in (timedelta(0), *AGES))
    ]
    assert second.records(EXPORT) == due
    assert len(queued(filled)) - jobs <= 1 + len(AGES)
    assert second.bookmark(EXPORT)["replication_key_value"] == iso(END)


def test_a_run_that_fails_goes_on_behind_its_last_whole_window(filled):
    filled.journal.watch = lambda _: setattr(
        filled.export_options, "fail_next", 9 if len(queued(filled)) > 1 else 0
    )
    first, _ = failing(filled, export_concurrency=1)
    filled.journal.watch = None
    filled.export_options.fail_next = 0
    second = export(filled, state=first.state)
    assert first.bookmark(EXPORT)["replication_key_value"] == iso(END - timedelta(days=60))
    assert first.records(EXPORT) + second.records(EXPORT) == all_messages(filled)


def test_messages_at_the_instant_at_which_windows_meet_come_once(sandbox):
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


def test_the_same_lines_come_the_sdks_way(filled):
    short = export(filled).records(EXPORT)
    mapped = export(filled, stream_maps={EXPORT: {"body": None}}).records(EXPORT)
    assert mapped == [{name: it[name] for name in it if name != "body"} for it in short]


@pytest.mark.parametrize("concurrency", [1, 2])
def test_no_more_jobs_are_in_flight_than_allowed(filled, concurrency):
    export(filled, export_concurrency=concurrency, start_date=iso(END - timedelta(days=300)))
    steps = {QUEUE_PATH: 1, DOWNLOAD_PATH: -1}
    in_flight = list(accumulate(steps.get(it.path.partition("/export-")[0], 0) for it in filled.requests))
    assert max(in_flight) == concurrency
    assert in_flight[-1] == 0


def test_filters_are_sent(filled):
    sender = next(it["sender"] for it in all_messages(filled) if it["sender"])
    output = export(filled, partner_gateway_export_sender=sender)
    assert output.records(EXPORT) == [it for it in all_messages(filled) if it["sender"] == sender]
    recipient = all_messages(filled)[7]["destination"]
    output = export(filled, partner_gateway_export_recipient=recipient)
    assert output.records(EXPORT) == [it for it in all_messages(filled) if it["destination"] == recipient]


def test_messages_that_were_not_sent_through_the_api_are_not_in_it(filled):
    filled.export_options.only_named = True
    named = [it for it in all_messages(filled) if it["customerMessageId"]]
    assert export(filled).records(EXPORT) == named


@pytest.mark.parametrize("header", ["words", "camel", "snake"])
@pytest.mark.parametrize("semicolons", [False, True])
@pytest.mark.parametrize("oddities", [{}, {"bom": True, "crlf": True, "decimal_comma": True}])
def test_every_dialect_gives_the_same_records(filled, header, semicolons, warnings):
    filled.export_options.header, filled.export_options.semicolons = header, semicolons
    for name, value in warnings.items():
        setattr(filled.export_options, name, value and (semicolons or name != "decimal_comma"))
    assert export(filled).records(EXPORT) == all_messages(filled)


def test_odd_messages_are_kept(sandbox):
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
    assert {it["reason"] for it in rejected} == {"no readable messageId", "no readable sendDate"}
    assert {it["stream"] for it in rejected} == {EXPORT}


class ExportHistories(Histories):
    """Insert, late insert, status change, run, killed run: the warehouse equals the server."""

    stream = GATEWAY_STREAMS["SMS"]

    def run(self, *, keep_states):
        until = iso(END + timedelta(milliseconds=self.now_ms - END_MS))
        start = iso(END - timedelta(days=40))
        settings = {"start_date": start, "end_date": until, "visibility_lag": "PT0S"}
        kept = export(self.sandbox, state=self.state, **settings).messages
        if keep_states is not None:
            states = [at for at, it in enumerate(kept) if it["type"] == "STATE"]
            kept = kept[: states[min(keep_states, len(states) - 1)] + 1]
        for message in kept:
            if message["type"] == "RECORD":
                # Of an empty text, CSV makes none.
                record = {"sender": "", "destination": "", "body": ""}
                record |= {name: it for name, it in message["record"].items() if it is not None}
                self.warehouse[record["messageId"]] = {name: record.get(name) for name in message["record"]}
            elif message["type"] == "STATE":
                self.state = message["value"]


TestExportHistories = ExportHistories.TestCase
TestExportHistories.settings = hypothesis.settings(max_examples=10, stateful_step_count=15)


# Jobs.


@pytest.mark.parametrize("unclear", ["reset", "error", "unreadable"])
@pytest.mark.parametrize("hide_range", [False, True])
def test_a_queue_request_without_a_clear_answer_is_not_repeated_where_its_job_is_in_the_list(
    filled, unclear, hide_range
):
    options = filled.export_options
    options.unclear_next, options.unclear, options.hide_range = 2, unclear, hide_range
    assert export(filled).records(EXPORT) == all_messages(filled)
    assert len(queued(filled)) == WINDOWS + 2 * hide_range, "a job without a range may be anybody's"
    assert options.unclear_next == 0


@pytest.mark.parametrize("unclear", ["reset", "error", "unreadable"])
@pytest.mark.parametrize("others", [15, 250])
def test_a_job_is_found_in_a_long_list_sorted_oldest_first(filled, unclear, others):
    """Where the list is too long to look for a job without an id, a second job costs less than an error."""
    options = filled.export_options
    options.oldest_first, options.unclear_next, options.unclear, options.others = True, 1, unclear, others
    options.polls = 3
    assert export(filled, export_concurrency=1).records(EXPORT) == all_messages(filled)
    assert len(queued(filled)) == WINDOWS + (others > 200)
    assert len(asked(filled, "GET", LIST_PATH)) < 400


@pytest.mark.parametrize("unclear", ["reset", "error", "unreadable"])
def test_it_is_repeated_where_its_job_is_not_in_the_list_and_no_older_job_is_taken_for_it(filled, unclear):
    export(filled)  # jobs for the very same windows
    message = next(iter(filled.gateway["SMS"]))
    filled.gateway["SMS"].set_status(message.id, "EXPIRED", END_MS - 1)
    options = filled.export_options
    options.unclear_next, options.unclear, options.unclear_lost = 2, unclear, True
    assert export(filled).records(EXPORT) == all_messages(filled)
    assert len(queued(filled)) == WINDOWS + 2 + WINDOWS


def test_a_queue_request_that_is_never_answered_clearly_is_an_error_that_names_the_window(filled):
    filled.export_options.unclear_next, filled.export_options.unclear_lost = 99, True
    _, error = failing(filled)
    assert f"{iso(END - timedelta(days=90))} to {iso(END - timedelta(days=60))}" in str(error)
    assert len(queued(filled)) == 5


def test_a_429_is_a_clear_answer_no_job_was_queued(filled):
    def limit(request):
        if request.path == QUEUE_PATH and len(queued(filled)) == 1:
            filled.faults.limit_next = 1

    filled.faults.retry_after = "none"
    filled.journal.watch = limit
    assert export(filled).records(EXPORT) == all_messages(filled)
    assert Counter(it.status for it in queued(filled)) == {429: 1, 202: WINDOWS}
    assert [it.path for it in filled.requests[:3]] == [LIST_PATH, QUEUE_PATH, QUEUE_PATH]


def test_a_refused_key_is_an_error_after_one_request(filled):
    _, error = failing(filled, partner_gateway_api_key="wrong")
    assert "partner_gateway_api_key" in str(error)
    assert len(filled.requests) == 1


def test_a_job_may_take_its_time_and_be_missing_from_the_list_at_first(filled):
    filled.export_options.polls, filled.export_options.lag, filled.export_options.seconds = 5, 3, 60
    filled.journal.watch = lambda _: filled.clock.advance(10)
    output = export(filled)
    assert output.records(EXPORT) == all_messages(filled)
    assert len(queued(filled)) == WINDOWS


@pytest.fixture
def jobs(sandbox):
    """The life of jobs, without a stream around it."""
    return jobs_of(ImpatientTap(config=config(sandbox, partner_gateway_export=True, export_timeout=0.001)))


def jobs_of(tap):
    stream = tap.streams[EXPORT]
    assert isinstance(stream, PartnerGatewayExportStream)
    assert isinstance(stream.source, PartnerGatewayExportSource)
    return stream.source.jobs


WINDOW = Window(END - timedelta(days=30), END, Reason.NEW)


def test_a_job_is_found_although_others_have_pushed_it_to_a_later_page_of_the_list(sandbox, jobs):
    body = {"startDateTime": iso(END), "endDateTime": iso(END)}
    url = f"{sandbox.url}{QUEUE_PATH}"
    key = {"X-Api-Key": sandbox.gateway_options.key}

    def queue_others():
        for _ in range(25):
            assert requests.post(url, json=body, headers=key, timeout=5).status_code == 202

    sandbox.export_options.polls = 0
    assert jobs.run(WINDOW, queue_others, WindowStats()) == "export-1"
    assert {it.params["page"] for it in asked(sandbox, "GET", LIST_PATH)} == {"0", "1", "2"}


@pytest.mark.parametrize("hide_range", [False, True])
def test_a_job_that_another_program_queues_at_the_same_moment_is_not_taken_for_ones_own(sandbox, hide_range):
    options = sandbox.export_options
    options.hide_range, options.polls = hide_range, 0
    options.unclear_next, options.unclear, options.others = 1, "error", 1
    jobs = jobs_of(ImpatientTap(config=config(sandbox, partner_gateway_export=True)))
    taken = jobs.run(WINDOW, lambda: None, WindowStats())
    # export-1 is the other program's. Whether export-2 is the tap's, only a range can tell.
    assert taken == ("export-3" if hide_range else "export-2")


def test_a_job_that_is_not_ready_in_time_is_an_error_that_names_the_window_and_the_setting(sandbox, jobs):
    sandbox.export_options.polls = 10**6
    with pytest.raises(ApiError, match="export_timeout") as caught:
        jobs.run(WINDOW, lambda: None, WindowStats())
    assert f"{iso(WINDOW.start)} to {iso(WINDOW.end)}" in str(caught.value)


def test_a_wait_ends_at_once_when_the_run_does(sandbox):
    patient = jobs_of(TapMessageHistory(config=config(sandbox, partner_gateway_export=True)))
    stats = WindowStats()
    with pytest.raises(ApiError, match="stopped"):
        patient.run(WINDOW, stats.cancelled.set, stats)


def test_looks_are_5_seconds_apart_at_first_and_30_at_last():
    pauses = list(islice(POLL_SCHEDULE.pauses(), 20))
    assert pauses[0] == 5
    assert pauses == sorted(pauses)
    assert pauses[-1] == 30


def test_a_failed_job_is_queued_once_more(filled):
    filled.export_options.fail_next = 1
    assert export(filled).records(EXPORT) == all_messages(filled)
    assert len(queued(filled)) == WINDOWS + 1


def test_a_job_that_fails_twice_is_an_error_that_names_the_window(filled):
    filled.export_options.fail_next = 2
    output, error = failing(filled, export_concurrency=1)
    assert f"{iso(END - timedelta(days=90))} to {iso(END - timedelta(days=60))}" in str(error)
    assert output.records(EXPORT) == []
    assert len(queued(filled)) == 2


@pytest.mark.parametrize("fault", ["expire_next", "expire_listed_next"])
def test_a_file_that_is_gone_is_made_anew(filled, fault):
    setattr(filled.export_options, fault, 2)
    assert export(filled).records(EXPORT) == all_messages(filled)
    assert len(queued(filled)) == WINDOWS
    assert len(asked(filled, "POST", LIST_PATH)) == 2


@pytest.mark.parametrize("fault", ["expire_next", "expire_listed_next"])
def test_a_file_that_is_gone_time_and_again_is_an_error_that_names_the_window(filled, fault):
    setattr(filled.export_options, fault, 99)
    _, error = failing(filled, export_concurrency=1)
    assert f"{iso(END - timedelta(days=90))} to " in str(error)
    assert len(asked(filled, "POST", LIST_PATH)) == 5


# Downloads.


#: A row that does not fit is rejected by itself.
BROKEN = [how for how in get_args(Break) if how != "row"]


@pytest.mark.parametrize("how", BROKEN)
def test_a_download_that_goes_wrong_is_started_over_with_a_fresh_link(filled, how):
    filled.export_options.break_next, filled.export_options.break_how = 3, how
    assert export(filled).records(EXPORT) == all_messages(filled)
    assert len(queued(filled)) == WINDOWS
    assert len(asked(filled, "GET", DOWNLOAD_PATH)) == WINDOWS + 3
    assert len({it.params["signature"] for it in asked(filled, "GET", DOWNLOAD_PATH)}) == WINDOWS + 3


@pytest.mark.parametrize("how", BROKEN)
def test_a_download_that_always_goes_wrong_is_an_error_that_names_the_window_and_no_data(filled, how):
    filled.export_options.break_next, filled.export_options.break_how = 99, how
    output, error = failing(filled, export_concurrency=1)
    assert f"{iso(END - timedelta(days=90))} to {iso(END - timedelta(days=60))}" in str(error)
    assert output.records(EXPORT) == []
    assert output.bookmark(EXPORT) == {}
    assert len(asked(filled, "GET", DOWNLOAD_PATH)) == 5


def test_errors_resets_cut_bodies_and_html_pages_everywhere_lose_and_repeat_nothing(filled):
    filled.faults = Faults(
        error_rate=0.05, drop_rate=0.05, truncate_rate=0.05, html_rate=0.05, malformed_rate=0.05
    )
    output = export(filled, start_date=iso(END - timedelta(days=365)))
    assert output.records(EXPORT) == all_messages(filled)
    statuses = Counter(it.status for it in filled.requests)
    assert min(statuses[500], statuses[None]) > 0, "nothing went wrong: the test would show nothing"
    assert [it.status for it in queued(filled)].count(202) == 13, "a window was queued twice"


def test_a_download_carries_no_credentials_not_even_those_of_a_netrc_file(filled, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert export(filled).records(EXPORT) == all_messages(filled)
    downloads = asked(filled, "GET", DOWNLOAD_PATH)
    assert [it.credentials for it in downloads] == [False] * WINDOWS
    assert all(it.credentials for it in filled.requests if it not in downloads)


@pytest.mark.parametrize("link", ["http://example.com/file.csv", "ftp://127.0.0.1/file.csv", "/file.csv", ""])
def test_a_link_without_tls_is_followed_on_loopback_only(link):
    with pytest.raises(ApiError, match="https"):
        next(Downloader(timeout=5).chunks(link, WindowStats()))


def test_signed_links_are_never_logged(filled, caplog):
    filled.export_options.break_next = 2
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("urllib3").setLevel(logging.DEBUG)
        export(filled)
        filled.export_options.break_next = 99
        _, error = failing(filled)
    assert "/partner-gateway/v1/exports" in caplog.text, "urllib3 logs nothing: the test would show nothing"
    told = f"{caplog.text} {error}"
    assert "signature" not in told
    for request in asked(filled, "GET", DOWNLOAD_PATH):
        assert request.params["signature"] not in told


# Disk and memory.


def test_messages_are_ordered_on_disk_in_a_file_without_a_name_for_this_user_only():
    spool = Spool()
    spool.add(spooled(number, number, bytes(1000)) for number in range(10_000))
    (file,) = (it for it in Path("/proc/self/fd").iterdir() if "etilqs" in os.path.realpath(it))
    assert os.path.realpath(file).endswith("(deleted)")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_size > 5_000_000
    spool.close()


def spooled(sent_at, id_, record):
    return spool_module.Message(f"{sent_at:09d}", id_, "", str(id_).encode(), record)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.binary(max_size=2)), max_size=30))
def test_of_each_message_the_last_version_is_kept_and_all_are_in_send_order(messages):
    spool = Spool()
    spool.add(spooled(*message) for message in messages)
    spool.finish()
    latest = {id_: spooled(sent_at, id_, record) for sent_at, id_, record in messages}
    assert list(spool.messages()) == sorted(latest.values())
    spool.close()


def test_a_full_disk_is_an_error_that_names_the_way_out():
    spool = Spool()
    spool._database.execute("PRAGMA max_page_count = 20")
    with pytest.raises(TapError, match="TMPDIR"):
        spool.add(spooled(number, number, bytes(1000)) for number in range(1_000))
    spool.close()


def test_memory_does_not_grow_with_the_file():
    sandbox = Sandbox(clock=Clock(END_MS, frozen=True))
    sandbox.export_options.rows = MANY
    with sandbox.serve():
        given = {
            "config": config(
                sandbox,
                edna_api_key=None,
                partner_gateway_export=True,
                start_date=iso(END - timedelta(days=20)),
            ),
            "catalog": selecting(EXPORT),
        }
        lines: Counter[bytes] = Counter()
        command = [sys.executable, "-m", "tests.impatient"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin
            assert process.stdout
            assert process.stderr
            process.stdin.write(json.dumps(given).encode())
            process.stdin.close()
            for line in process.stdout:
                lines[line[:16]] += 1
            memory = int(process.stderr.read().splitlines()[-1])
    assert lines[b'{"type":"RECORD"'] == MANY
    assert memory < MEMORY_MB * 1024
