"""The Airbyte connector: the same messages, states and promises, in Airbyte's protocol."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from msghistory_sandbox.clock import Clock
from msghistory_sandbox.history import Message
from tap_msghistory.airbyte import specification, states
from tap_msghistory.config.settings import SETTINGS
from tests.airbyte_runs import COMMAND, Output, configure, discover, parse, read, run_command, write
from tests.processes import TIMEOUT_SECONDS, environment
from tests.sockets import Front, serving
from tests.support import (
    END,
    END_MS,
    LEDGER,
    REJECTED,
    ROOT,
    STREAMS,
    YEARS,
    EagerTap,
    config,
    everything,
    from_the_start,
    iso,
    sync,
    truth,
)

EDNA, SMS, RCS, WHATSAPP = STREAMS
HOUR_MS = 3_600_000
KEY, PASSWORD, PHONE = "CANARY-key", "CANARY-password", "35000777333"


def by_key(outputs, streams=STREAMS):
    """Return the latest version of each message."""
    return {
        (stream, record["messageId"]): record
        for output in outputs
        for stream in streams
        for record in output.records(stream)
    }


# Settings.


def form(tmp_path):
    (found,) = run_command("spec", tmp_path).of_type("SPEC")
    return found["connectionSpecification"]


def test_the_form_has_every_setting_and_marks_secrets(tmp_path):
    fields = form(tmp_path)["properties"]
    settings = SETTINGS["properties"].keys() - {"objects_as_json"}
    assert fields.keys() == settings | {"partner_gateway_credentials"}
    assert sorted(field["order"] for field in fields.values()) == [*range(len(fields))]
    for name in settings:
        assert fields[name].get("airbyte_secret", False) == SETTINGS["properties"][name].get("secret", False)
        assert fields[name]["title"]
        assert fields[name].get("airbyte_hidden", False) == (
            name in {"partner_gateway_api_key", "partner_gateway_username", "partner_gateway_password"}
        )
    for kind in fields["partner_gateway_credentials"]["oneOf"]:
        secrets = {name for name, field in kind["properties"].items() if field.get("airbyte_secret")}
        assert secrets == kind["properties"].keys() - {"auth_type", "partner_gateway_username"}


API_KEY = {"auth_type": "api_key", "partner_gateway_api_key": "k"}
PASSWORDS = {
    "auth_type": "password",
    "partner_gateway_username": "u",
    "partner_gateway_password": "p",
}


@pytest.mark.parametrize("credentials", [API_KEY, PASSWORDS])
@pytest.mark.parametrize("is_nested", [True, False])
def test_either_credential_is_accepted_nested_and_flat(tmp_path, credentials, is_nested):
    flat = {name: value for name, value in credentials.items() if name != "auth_type"}
    nested = {"partner_gateway_credentials": credentials} if is_nested else flat
    entered = {"start_date": "2024-01-31", "edna_api_key": None, **nested}
    Draft7Validator(form(tmp_path)).validate({**nested, "start_date": "2024-01-31"})
    settings = specification.settings(entered)
    assert {name: value for name, value in settings.items() if name.startswith("partner_gateway_")} == {
        **{
            name: field["default"]
            for name, field in SETTINGS["properties"].items()
            if name.startswith("partner_gateway_") and "default" in field
        },
        **flat,
    }


def test_only_the_chosen_kind_of_credentials_is_used():
    leftover = {"partner_gateway_api_key": "old", "partner_gateway_credentials": PASSWORDS}
    nested = {"partner_gateway_credentials": {**PASSWORDS, "partner_gateway_api_key": "old"}}
    for entered in (leftover, nested):
        settings = specification.settings({"start_date": "2024-01-31", **entered})
        assert "partner_gateway_api_key" not in settings
        assert settings["partner_gateway_username"] == "u"


def test_the_form_rejects_mixed_credentials_and_malformed_times(tmp_path):
    validator = Draft7Validator(form(tmp_path))
    mixed = {"auth_type": "password", "partner_gateway_api_key": "k"}
    assert not validator.is_valid({"start_date": "2024-01-31", "partner_gateway_credentials": mixed})
    assert not validator.is_valid({"start_date": "31.01.2024"})
    assert validator.is_valid({"start_date": "2024-01-31T08:00:00+02:00", "lookback": "P7D"})


def test_the_form_accepts_the_examples_of_each_setting(tmp_path):
    for field in form(tmp_path)["properties"].values():
        assert all(map(Draft7Validator(field).is_valid, field.get("examples", [])))


# Check.


def test_a_check_sends_one_request_per_vendor(life_like, tmp_path):
    front = Front(life_like.url)
    with serving(front) as port:
        settings = config(life_like)
        for name in ("edna_base_url", "partner_gateway_base_url"):
            settings[name] = settings[name].replace(life_like.url, f"http://127.0.0.1:{port}")
        output = run_command("check", tmp_path, settings)
    assert output.of_type("CONNECTION_STATUS") == [{"status": "SUCCEEDED"}]
    assert len(front.requests) == 2


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"edna_api_key": KEY}, "edna: status 401 Api key not found: check edna_api_key"),
        ({"edna_api_key": KEY, "partner_gateway_api_key": KEY}, "; the partner gateway: status"),
        ({"start_date": KEY}, "Setting start_date must be"),
        ({"partner_gateway_credentials": KEY}, "must be JSON objects"),
        ({"partner_gateway_credentials": {"partner_gateway_apikey": KEY}}, "mean partner_gateway_api_key?"),
        ({"partner_gateway_credentials": {"start_date": KEY}}, "Setting start_date is unknown"),
        (
            {"partner_gateway_credentials": {"auth_type": "api_key"}},
            "api_key with partner_gateway_api_key, or",
        ),
        ({"partner_gateway_credentials": {"auth_type": KEY}}, "auth_type must be api_key with"),
        ({"stream_map": {"*": {}}}, "Setting stream_map has no effect in Airbyte. Transform messages"),
        ({"objects_as_json": True}, "Setting objects_as_json has no effect in Airbyte"),
    ],
)
def test_a_failed_check_gives_the_reason_without_secrets(life_like, tmp_path, settings, reason):
    output = run_command("check", tmp_path, config(life_like, **settings))
    (status,) = output.of_type("CONNECTION_STATUS")
    assert status["status"] == "FAILED"
    assert reason in status["message"]
    assert output.code == 0
    assert KEY not in json.dumps(output.messages)


@pytest.mark.parametrize("content", ["{", '"text"', "[1]"])
def test_a_check_of_an_unreadable_config_fails(tmp_path, content):
    output = run_command("check", tmp_path, content)
    assert [status["status"] for status in output.of_type("CONNECTION_STATUS")] == ["FAILED"]
    assert output.code == 0


# Discover.


@pytest.mark.parametrize("more", [{}, {"account": "retail", "partner_gateway_export": True}])
def test_the_catalog_has_the_streams_of_the_tap(life_like, tmp_path, more):
    settings = config(life_like, **more)
    streams = discover(tmp_path, settings)
    tap = {stream["tap_stream_id"]: stream for stream in EagerTap(config=settings).catalog_dict["streams"]}
    assert streams.keys() == tap.keys()
    for name, stream in streams.items():
        assert [*stream["json_schema"]["properties"]] == [*tap[name]["schema"]["properties"]]
        assert stream["source_defined_primary_key"] == [[key] for key in tap[name]["key_properties"]]
        assert stream["source_defined_cursor"]
        assert stream["is_resumable"]
        assert stream["supported_sync_modes"] == ["full_refresh", "incremental"]
        if name in STREAMS:
            assert stream["default_cursor_field"] == [tap[name]["replication_key"]]
        for column, declared in tap[name]["schema"]["properties"].items():
            schema = {**stream["json_schema"]["properties"][column]}
            assert schema.pop("airbyte_type", None) == (
                "timestamp_with_timezone" if declared.get("format") == "date-time" else None
            )
            assert {*schema["type"]} == {*declared["type"]}


# Read.


def test_records_and_bookmarks_are_those_of_the_tap(life_like, tmp_path):
    output, expected = read(tmp_path, config(life_like)), sync(config(life_like))
    for stream in STREAMS:
        assert output.records(stream) == expected.records(stream)
        assert output.stream_state(stream) == expected.bookmark(stream)
        assert output.statuses(stream) == ["STARTED", "RUNNING", "COMPLETE"]
    assert output.statuses(LEDGER) == ["STARTED", "RUNNING", "COMPLETE"]
    assert output.statuses(REJECTED) == ["STARTED", "COMPLETE"]
    assert len(output.records(LEDGER)) == len(expected.records(LEDGER))
    assert output.code == 0
    assert output.errors == []


def test_every_state_counts_and_covers_the_records_before_it(years, tmp_path):
    messages = read(tmp_path, from_the_start(years)).messages
    counts = dict.fromkeys((*STREAMS, LEDGER, REJECTED), 0)
    last_window = {}
    for message in messages:
        if message["type"] == "RECORD":
            record = message["record"]
            counts[record["stream"]] += 1
            if record["stream"] == LEDGER:
                last_window[record["data"]["stream"]] = record["data"]["windowTo"]
        elif message["type"] == "STATE":
            name = message["state"]["stream"]["stream_descriptor"]["name"]
            assert message["state"]["sourceStats"] == {"recordCount": counts[name]}
            counts[name] = 0
            if name in STREAMS:
                state = message["state"]["stream"]["stream_state"]
                assert state["replication_key_value"] == last_window[name]
    assert set(counts.values()) == {0}
    assert last_window.keys() == {*STREAMS}


def test_the_connector_and_the_tap_continue_from_each_other(sandbox, tmp_path):
    for hours in (1, 3, 5):
        sandbox.edna.add(Message(id=hours, sent_ms=END_MS - hours * HOUR_MS, channel="SMS"))
    settings = config(sandbox, revisit_after=[])
    earlier = {**settings, "end_date": iso(END - timedelta(hours=2))}
    of_tap = sync(earlier).state
    for output in (
        read(tmp_path, settings, state=states.to_airbyte(of_tap)),
        read(tmp_path, settings, state=of_tap),
        read(tmp_path, settings, state={"completed": {"singer_state": of_tap}}),  # meltano state get
        sync(settings, state=states.to_singer(read(tmp_path, earlier).state)),
    ):
        assert [record["messageId"] for record in output.records(EDNA)] == [1]


bookmarks = st.dictionaries(
    st.sampled_from(["replication_key", "replication_key_value", "as_of", "revisited_to"]),
    st.text() | st.dictionaries(st.text(), st.text()),
)


@given(st.dictionaries(st.text(), bookmarks))
def test_converted_singer_states_convert_back_unchanged(streams):
    singer = {"bookmarks": streams}
    assert states.to_singer(states.to_airbyte(singer)) == singer
    assert states.to_singer(json.loads(json.dumps(states.to_airbyte(singer)))) == singer
    assert states.to_airbyte(states.to_singer(states.to_airbyte(singer))) == states.to_airbyte(singer)


def test_only_configured_columns_keys_and_cursors_are_read(life_like, tmp_path):
    output = read(tmp_path, config(life_like), SMS, columns=["body"])
    names = ("messageId", "body", "sendDate")
    assert output.records(SMS) == [{name: record[name] for name in names} for record in truth(life_like, SMS)]
    ledger = read(tmp_path, config(life_like), SMS, LEDGER, columns=[]).records(LEDGER)
    assert [row["stream"] for row in ledger] == [SMS]
    (row,) = run_command(
        "read",
        tmp_path,
        config(life_like),
        catalog={
            "streams": [
                *configure(discover(tmp_path, config(life_like)), SMS)["streams"],
                *configure(discover(tmp_path, config(life_like)), LEDGER, columns=["messages"])["streams"],
            ]
        },
    ).records(LEDGER)
    assert row.keys() == {"runId", "stream", "windowFrom", "messages", "readAt"}
    assert row["messages"] == len(truth(life_like, SMS))


# Full refresh.


def test_a_full_refresh_starts_over_and_completes_its_state(life_like, tmp_path):
    incremental = read(tmp_path, config(life_like), EDNA)
    for state in (None, incremental.state):
        full = read(tmp_path, config(life_like), EDNA, state=state, sync_mode="full_refresh")
        assert full.records(EDNA) == truth(life_like, EDNA)
        assert full.stream_state(EDNA) == {**incremental.stream_state(EDNA), "full_refresh": "complete"}
    assert states.to_singer(full.state) == states.to_singer(incremental.state)


def test_a_full_refresh_resumes_from_each_of_its_states(years, tmp_path):
    settings = from_the_start(years)
    full = read(tmp_path, settings, EDNA, sync_mode="full_refresh").messages
    marks = [at for at, message in enumerate(full) if message["type"] == "STATE"]
    assert len(marks) > YEARS
    for at in marks:
        before = Output(full[: at + 1])
        after = read(tmp_path, settings, EDNA, state=before.state, sync_mode="full_refresh")
        assert before.records(EDNA) + after.records(EDNA) == truth(years, EDNA)
        assert after.stream_state(EDNA)["full_refresh"] == "complete"
        assert after.statuses(EDNA)[-1] == "COMPLETE"
    assert after.records(EDNA) == []


def test_an_incremental_read_continues_after_a_full_refresh(life_like, tmp_path):
    full = read(tmp_path, config(life_like), EDNA, sync_mode="full_refresh")
    following = read(tmp_path, config(life_like), EDNA, state=full.state)
    assert following.records(EDNA) == []
    assert following.stream_state(EDNA) == states.bookmark_of(full.stream_state(EDNA))


def test_a_reread_leaves_the_state_unchanged(life_like, tmp_path):
    first = read(tmp_path, config(life_like), EDNA)
    day = f"{iso(END - timedelta(days=10))}/{iso(END - timedelta(days=9))}"
    again = read(tmp_path, config(life_like, reread=f"{EDNA}={day}"), EDNA, state=first.state)
    assert 0 < len(again.records(EDNA)) < len(first.records(EDNA))
    assert again.state == first.state


def test_rereads_with_a_full_refresh_are_refused_before_any_request(life_like, tmp_path):
    before = len(life_like.journal.requests)
    settings = config(life_like, reread=f"{EDNA}=2024-03-01/2024-03-02")
    output = read(tmp_path, settings, EDNA, LEDGER, sync_mode="full_refresh")
    (error,) = output.errors
    assert "reread cannot be combined with a full refresh" in error["message"]
    assert len(life_like.journal.requests) == before


# Failures.


def test_a_failing_stream_does_not_prevent_the_others(life_like, tmp_path):
    output = read(tmp_path, config(life_like, edna_api_key=KEY))
    assert output.statuses(EDNA) == ["STARTED", "INCOMPLETE"]
    for stream in (SMS, RCS, WHATSAPP):
        assert output.records(stream) == truth(life_like, stream)
        assert output.statuses(stream)[-1] == "COMPLETE"
    (error,) = output.errors
    assert error["message"].startswith("edna_history: edna: status 401 Api key not found: check edna_api_key")
    assert error["failure_type"] == "config_error"
    assert error["stream_descriptor"] == {"name": EDNA}
    assert output.code == 1
    # Some consumers stop at the first error.
    assert output.messages[-1]["trace"]["error"] == error


def test_streams_with_a_refused_credential_are_skipped(life_like, tmp_path):
    output = read(tmp_path, config(life_like, partner_gateway_api_key=KEY))
    assert output.records(EDNA) == truth(life_like, EDNA)
    for stream in (SMS, RCS, WHATSAPP):
        assert output.statuses(stream) == ["STARTED", "INCOMPLETE"]
    assert {error["failure_type"] for error in output.errors} == {"config_error"}
    assert sum("skipped" in error["message"] for error in output.errors) == 2


def test_exhausted_retries_are_transient_errors(sandbox, tmp_path):
    sandbox.faults.force_status = 503
    output = read(tmp_path, config(sandbox, max_retry_seconds=0), EDNA)
    assert [error["failure_type"] for error in output.errors] == ["transient_error"]
    assert output.code == 1


def test_suspicious_catalogs_and_states_cause_warnings(life_like, tmp_path):
    state = {"bookmarks": {"edna_histroy": {"replication_key_value": iso(END)}}}
    output = run_command("read", tmp_path, config(life_like), catalog={"streams": []}, state=state)
    assert [log["message"] for log in output.of_type("LOG") if log["level"] == "WARN"] == [
        (
            "The state has a bookmark for edna_histroy, which is not a stream of this tap; "
            "did you mean edna_history?"
        ),
        "No message history is selected, so nothing is read: check the catalog",
    ]


def test_streams_are_read_in_the_order_of_the_catalog(life_like, tmp_path):
    output = read(tmp_path, config(life_like), SMS, EDNA, LEDGER)
    assert [row["stream"] for row in output.records(LEDGER)] == [SMS, EDNA]
    states = [(state["stream"]["stream_descriptor"]["name"]) for state in output.of_type("STATE")]
    assert states == [LEDGER, SMS, LEDGER, EDNA]  # none is repeated


def test_unknown_streams_are_errors_of_the_configuration(life_like, tmp_path):
    catalog = configure(discover(tmp_path, config(life_like)))
    settings = config(life_like, partner_gateway_api_key=None)
    output = run_command("read", tmp_path, settings, catalog=catalog)
    assert output.records(EDNA) == truth(life_like, EDNA)
    assert [error["failure_type"] for error in output.errors] == ["config_error"] * 3
    assert all("which does not exist" in error["message"] for error in output.errors)
    assert output.statuses(SMS) == ["INCOMPLETE"]
    assert output.code == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config", "{"),
        ("config", {"edna_api_key": KEY}),
        ("catalog", "CANARY"),
        ("catalog", {"streams": [{"stream": {"name": KEY}, "sync_mode": KEY}]}),
        ("catalog", {"streams": KEY}),
        ("state", "["),
        ("state", {"CANARY": "legacy"}),
        ("state", [KEY]),
        ("state", [{"type": "LEGACY", "data": {KEY: KEY}}]),
        ("state", [{"type": "STREAM", "stream": {"stream_descriptor": {"name": EDNA}, "stream_state": KEY}}]),
        ("state", {"bookmarks": {EDNA: {"replication_key_value": KEY}}}),
    ],
)
def test_unreadable_files_are_errors_of_the_configuration(life_like, tmp_path, name, content):
    inputs = {
        "config": config(life_like),
        "catalog": configure(discover(tmp_path, config(life_like)), EDNA),
        "state": None,
        name: content,
    }
    output = run_command("read", tmp_path, inputs["config"], catalog=inputs["catalog"], state=inputs["state"])
    (error,) = output.errors
    assert error["failure_type"] == "config_error"
    assert "\n" not in error["message"]
    assert KEY not in json.dumps(output.messages)
    assert output.code == 1


def test_a_global_state_is_accepted(life_like, tmp_path):
    streams = [state["stream"] for state in read(tmp_path, config(life_like), EDNA).state]
    state = [{"type": "GLOBAL", "global": {"stream_states": streams}}]
    assert read(tmp_path, config(life_like), EDNA, state=state).records(EDNA) == []


@pytest.fixture
def with_rejected(sandbox):
    """A sandbox with a valid and two invalid messages."""
    for number, fields in enumerate([{}, {"messageId": "?"}, {"sentOrReceivedAt": "?"}], start=1):
        sandbox.edna.add(Message(id=number, sent_ms=END_MS - number, channel="SMS", fields=fields))
    return sandbox


def test_invalid_messages_are_in_their_own_stream(with_rejected, tmp_path):
    output, expected = read(tmp_path, config(with_rejected)), sync(config(with_rejected))
    rejected = [{**row, "rejectedAt": None} for row in output.records(REJECTED)]
    assert rejected == [{**row, "rejectedAt": None} for row in expected.records(REJECTED)]
    assert len(rejected) == 2
    assert output.stream_state(REJECTED)["replication_key"] == "rejectedAt"
    assert len(output.records(EDNA)) == 1


def test_discarded_invalid_messages_are_reported(with_rejected, tmp_path):
    output = read(tmp_path, config(with_rejected), EDNA)
    assert any("DISCARDED" in log["message"] for log in output.of_type("LOG") if log["level"] == "WARN")
    assert output.code == 0


def test_too_many_invalid_messages_end_the_run(with_rejected, tmp_path):
    output = read(tmp_path, config(with_rejected, max_rejected=1))
    (error,) = output.errors
    assert "max_rejected" in error["message"]
    assert error["failure_type"] == "config_error"
    assert output.statuses(EDNA)[-1] == output.statuses(REJECTED)[-1] == "INCOMPLETE"
    assert output.statuses(SMS) == []
    assert output.code == 1


# Processes.


@contextlib.contextmanager
def reading(settings, directory, state=(), **options):
    """Start a read of all streams in a process of its own."""
    catalog = configure(discover(directory, settings))
    files = {"config": settings, "catalog": catalog, "state": [*state]}
    arguments = [
        part
        for name, content in files.items()
        for part in (f"--{name}", str(write(directory / f"process-{name}.json", content)))
    ]
    usual: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment()}
    with subprocess.Popen(
        [COMMAND, "read", *options.pop("more", ()), *arguments], **usual | options
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_repeated_stops_at_any_byte_lose_nothing(years, tmp_path, signum):
    random = Random(int(signum))
    outputs: list[Output] = []
    state: dict[str, Any] = {}
    stops = 0
    while True:
        size = random.randrange(1, 250_000)
        with reading(from_the_start(years), tmp_path, state=state.values(), pipesize=4096) as process:
            printed = process.stdout.read(size)
            if is_stopped := len(printed) == size:
                process.send_signal(signum)
            printed += process.stdout.read()
            assert process.wait(TIMEOUT_SECONDS) == (-signum if is_stopped else 0)
        if signum != signal.SIGKILL:
            assert printed.endswith(b"\n")
        outputs.append(Output([*map(parse, printed[: printed.rfind(b"\n") + 1].splitlines())]))
        if is_stopped and signum == signal.SIGTERM:
            assert outputs[-1].errors[0]["message"].startswith("Stopped by SIGTERM")
        state |= {item["stream"]["stream_descriptor"]["name"]: item for item in outputs[-1].state}
        if not is_stopped:
            break
        stops += 1
    assert stops >= 2
    assert by_key(outputs) == everything(years)


def test_resuming_from_any_state_of_a_first_run_loses_nothing(years, tmp_path):
    first = read(tmp_path, from_the_start(years)).messages
    marks = [
        at
        for at, message in enumerate(first)
        if message["type"] == "STATE" and message["state"]["stream"]["stream_descriptor"]["name"] in STREAMS
    ]
    assert len(marks) >= YEARS * len(STREAMS)
    for at in marks:
        before = Output(first[: at + 1])
        after = read(tmp_path, from_the_start(years), state=before.state)
        assert by_key([before, after]) == everything(years)


def test_a_closed_pipe_ends_the_read(years, tmp_path):
    with reading(from_the_start(years), tmp_path, pipesize=4096) as process:
        process.stdout.readline()
        process.stdout.close()
        stderr = process.stderr.read().decode()
        assert process.wait(TIMEOUT_SECONDS) == 1
    assert stderr.strip() == "Stdout was closed by its consumer; the sync was stopped"


def test_secrets_are_in_no_message_but_records(sandbox, tmp_path):
    sandbox.edna_options.key = sandbox.gateway_options.key = KEY
    rows: list[dict[str, Any]] = [{}, {"messageId": "CANARY"}, {"CANARY": ["CANARY"]}]
    for number, fields in enumerate(rows, start=1):
        sandbox.edna.add(
            Message(id=number, sent_ms=END_MS - number, channel="SMS", address=PHONE, text=KEY, fields=fields)
        )
    sandbox.faults.fail_next = 1
    settings = config(sandbox, partner_gateway_api_key=f"{KEY}-wrong")
    with reading(settings, tmp_path, more=("--debug",)) as process:
        stdout, stderr = process.communicate(timeout=TIMEOUT_SECONDS)
    messages = [*map(parse, stdout.splitlines())]
    records = [message for message in messages if message["type"] == "RECORD"]
    others = json.dumps([message for message in messages if message not in records])
    assert [text for text in ("CANARY", PHONE) if text in others or text in stderr.decode()] == []
    assert sum(PHONE in json.dumps(record) for record in records) == 3
    assert process.returncode == 1


def test_retries_of_other_threads_are_logged_as_messages(sandbox, tmp_path):
    sandbox.edna.add(Message(id=1, sent_ms=END_MS, channel="SMS"))
    sandbox.faults.fail_next = 1
    output = read(tmp_path, config(sandbox))
    assert sum("retrying in" in log["message"] for log in output.of_type("LOG")) == 1
    assert output.code == 0


@pytest.mark.parametrize("arguments", [[], ["read"], ["write"], ["check", "--config"]])
def test_an_incomplete_command_line_shows_the_usage(arguments):
    finished = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert finished.returncode == 2
    assert finished.stderr.startswith("usage: source-msghistory")
    assert finished.stdout == ""


# Airbyte's own software.

PYAIRBYTE = ROOT / ".clients" / "pyairbyte" / "bin" / "python"
OFFLINE = {"DO_NOT_TRACK": "1", "AIRBYTE_OFFLINE_MODE": "1", "AIRBYTE_LOGGING_ROOT": "logs"}


def in_pyairbyte(*arguments, directory, **variables):
    """Run Python in PyAirbyte's environment."""
    assert PYAIRBYTE.exists(), "PyAirbyte is not installed: run make .clients/pyairbyte/ready"
    finished = subprocess.run(
        [PYAIRBYTE, *arguments],
        cwd=directory,
        env=environment(**OFFLINE, **variables, HOME=str(directory), PYTHONWARNINGS="ignore"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-5_000:] + finished.stderr[-5_000:]
    return finished.stdout


def read_with_pyairbyte(settings, directory):
    """Read into the cache in `directory`, and return the rows of its tables."""
    client, config_file = ROOT / "tests" / "clients" / "pyairbyte_read.py", directory / "config.json"
    write(config_file, settings)
    in_pyairbyte(client, COMMAND, config_file, "cache.duckdb", "tables.json", directory=directory)
    return json.loads((directory / "tables.json").read_text())


def test_pyairbyte_keeps_every_message_with_its_latest_status(sandbox, tmp_path):
    lifecycle = ((0, "SENT"), (12 * HOUR_MS, "READ"))
    for number, hours in enumerate([90, 60, 58, 2], start=1):
        sandbox.edna.add(
            Message(id=number, sent_ms=END_MS - hours * HOUR_MS, channel="SMS", lifecycle=lifecycle)
        )
        sandbox.gateway["RCS"].add(
            Message(id=str(number), sent_ms=END_MS - hours * HOUR_MS, channel="RCS", lifecycle=lifecycle)
        )
    sandbox.edna.add(Message(id=9, sent_ms=END_MS - 58 * HOUR_MS, channel="SMS", fields={"messageId": "?"}))
    for days, read_again in ((2, 0), (0, 3)):
        moment = END - timedelta(days=days)
        sandbox.clock = Clock(int(moment.timestamp() * 1000), frozen=True)
        tables = read_with_pyairbyte(config(sandbox, end_date=iso(moment)), tmp_path)
        for stream in (EDNA, RCS):
            statuses = {row["messageid"]: row["deliverystatus"] for row in tables[stream]}
            assert statuses == {
                record["messageId"]: record["deliveryStatus"]
                for record in truth(sandbox, stream)
                if record["messageId"]
            }
        assert {"READ"} < set(statuses.values())
        windows = tables[LEDGER]
        assert sum(row["messages"] for row in windows if row["stream"] == EDNA) == len(statuses) + read_again
        assert len(tables[REJECTED]) == 1


def test_the_standard_tests_of_the_cdk_pass(with_rejected, life_like, tmp_path):
    for channel, history in life_like.gateway.items():
        with_rejected.gateway[channel].add(*list(history)[:50])
    valid = [{"config_path": str(write(tmp_path / "valid.json", config(with_rejected)))}]
    wrong = write(tmp_path / "wrong.json", config(with_rejected, edna_api_key=KEY))
    connections = [{**valid[0], "status": "succeed"}, {"config_path": str(wrong), "status": "failed"}]
    sections = {
        "spec": valid, "connection": connections, "discovery": valid, "basic_read": valid,
    }  # fmt: skip
    tests = {"acceptance_tests": {name: {"tests": entries} for name, entries in sections.items()}}
    write(tmp_path / "acceptance-test-config.yml", tests)
    tests_file = shutil.copy(ROOT / "tests" / "clients" / "cdk_standard_tests.py", tmp_path)
    options = (
        "-c", os.devnull, "-p", "no:cacheprovider", "-p", "airbyte_cdk.test.standard_tests.pytest_hooks",
        "-W", "error::airbyte_cdk.test.standard_tests.DiscoveredCatalogWarning", "-k", "not docker",
    )  # fmt: skip
    printed = in_pyairbyte("-m", "pytest", *options, tests_file, directory=tmp_path, CONNECTOR=str(COMMAND))
    assert "7 passed" in printed
