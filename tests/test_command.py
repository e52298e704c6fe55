"""The command line: output, errors and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from msghistory_sandbox.faults import Faults
from tests.processes import environment, error_lines, run_here
from tests.support import (
    ALL_STREAMS,
    END,
    EXPORT,
    GATEWAY_STREAMS,
    LEDGER,
    REJECTED,
    STREAMS,
    config,
    iso,
    replication_key,
    selecting,
    sync,
    truth,
)

COMMAND = Path(sys.executable).with_name("tap-msghistory")


def run(*arguments, settings=None, tmp_path=None, **kwargs):
    if settings is not None:
        path = tmp_path / "config.json"
        path.write_text(settings if isinstance(settings, str) else json.dumps(settings))
        arguments = (*arguments, "--config", str(path))
    return subprocess.run(
        [COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=60, **kwargs
    )


def logged_errors(finished):
    return [line for line in finished.stderr.splitlines() if "| ERROR" in line or "Traceback" in line]


def test_version_help_and_about_are_printed():
    assert run("--version").stdout.startswith("tap-msghistory v")
    assert "--config" in run("--help").stdout
    about = run("--about", "--format=markdown")
    assert about.returncode == 0
    assert "| start_date | True |" in about.stdout


def test_discovery_without_settings_lists_all_streams():
    found = run("--discover")
    assert found.returncode == 0
    streams = {stream["tap_stream_id"]: stream for stream in json.loads(found.stdout)["streams"]}
    assert set(streams) == {*ALL_STREAMS} - {EXPORT}
    del streams[REJECTED], streams[LEDGER]
    more_keys = {"edna_history": ["direction"]}
    for name, stream in streams.items():
        assert stream["key_properties"] == ["messageId", *more_keys.get(name, [])]
        assert stream["replication_method"] == "INCREMENTAL"
        assert stream["metadata"][-1]["metadata"]["selected-by-default"]
    assert streams["edna_history"]["replication_key"] == "sentOrReceivedAt"
    assert len({json.dumps(streams[name]["schema"]) for name in GATEWAY_STREAMS.values()}) == 1


def test_a_connection_test_prints_one_line_per_stream(life_like, tmp_path):
    tested = run("--test", settings=config(life_like), tmp_path=tmp_path)
    assert tested.returncode == 0, tested.stderr
    assert logged_errors(tested) == []
    newest = {
        name: max(record[replication_key(name)] for record in truth(life_like, name)) for name in STREAMS
    }
    assert tested.stdout.splitlines() == [
        f"{name}: ok, newest message sent {newest[name][:16].replace('T', ' ')} UTC"
        for name in sorted(STREAMS)
    ]
    assert "failed" not in tested.stderr


@pytest.mark.parametrize("option", ["--test", "--plan"])
def test_checks_skip_deselected_streams(sandbox, tmp_path, option):
    catalog = tmp_path / "catalog.json"
    catalog.write_text(json.dumps(selecting("edna_history")))
    checked = run(option, "--catalog", str(catalog), settings=config(sandbox), tmp_path=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert {request.api for request in sandbox.requests} == {"edna"}
    assert "partner_gateway" not in checked.stdout


@pytest.mark.parametrize("option", ["--test", "--plan"])
def test_checks_retry_for_seconds_only(sandbox, tmp_path, option):
    sandbox.faults = Faults(limit_next=100, limit_wait_s=20.0, retry_after="seconds")
    settings = {**config(sandbox, partner_gateway_api_key=None), "max_retry_seconds": 900}
    checked = run(option, settings=settings, tmp_path=tmp_path)
    assert checked.returncode == 1
    assert "max_retry_seconds (10)" in logged_errors(checked)[-1]
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("wrap", ["singer_state", "completed"])
def test_a_state_may_be_in_the_form_that_meltano_prints(sandbox, tmp_path, wrap):
    bookmark = {"replication_key_value": iso(END), "as_of": iso(END)}
    printed = {"singer_state": {"bookmarks": {"edna_history": bookmark}}}
    state = tmp_path / "printed.json"
    state.write_text(json.dumps(printed if wrap == "singer_state" else {"completed": printed}))
    settings = config(sandbox, partner_gateway_api_key=None)
    planned = run("--plan", "--state", str(state), settings=settings, tmp_path=tmp_path)
    assert "nothing to read" in planned.stdout


def test_a_schema_test_sends_no_request(tmp_path):
    settings = {"start_date": "2024-01-01", "edna_api_key": "key"}
    tested = run("--test=schema", settings=settings, tmp_path=tmp_path)
    assert tested.returncode == 0
    streams = [json.loads(line)["stream"] for line in tested.stdout.splitlines()]
    assert streams == ["edna_history", REJECTED, LEDGER]


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, "start_date"),
        ({"start_date": "2024-01-01"}, "edna_api_key"),
        ({"start_date": "2024-99-01", "edna_api_key": "key"}, "start_date"),
        ("{", "not JSON"),
        ('{"start_date": "2024-01-01", "edna_api_key": "key", "max_retry_seconds": NaN}', "not JSON"),
    ],
)
@pytest.mark.parametrize("mode", [(), ("--test",)])
def test_wrong_settings_cause_one_line_and_exit_code_1(settings, reason, mode, tmp_path):
    failed = run(*mode, settings=settings, tmp_path=tmp_path)
    (line,) = logged_errors(failed)
    assert reason in line
    assert failed.returncode == 1
    assert failed.stdout == ""


@pytest.mark.parametrize(
    ("option", "content"),
    [
        ("--state", "[]"),
        ("--state", '{"type": "STATE", "value": {}}'),
        ("--catalog", "[]"),
        ("--catalog", "{"),
        ("--catalog", ""),
        ("--config", None),
    ],
)
def test_an_unusable_file_causes_one_line_and_exit_code_1(option, content, tmp_path):
    path = tmp_path / "file"
    if content is None:
        path.mkdir()
    else:
        path.write_text(content)
    settings = {"start_date": "2024-01-01", "edna_api_key": "key"}
    failed = run(option, str(path), settings=settings, tmp_path=tmp_path)
    (line,) = logged_errors(failed)
    assert option in line or str(path) in line
    assert failed.returncode == 1


def test_a_selected_stream_that_does_not_exist_causes_a_warning(life_like, caplog):
    catalog = {
        "streams": [
            {
                "tap_stream_id": name,
                "stream": name,
                "schema": {"type": "object", "properties": {}},
                "metadata": [{"breadcrumb": [], "metadata": {"selected": True}}],
            }
            for name in ("partner_gateway_history_sms", "no_such_stream")
        ]
    }
    settings = config(life_like, partner_gateway_api_key=None)
    with caplog.at_level("WARNING"):
        sync(settings, catalog=catalog)
    assert "partner_gateway_history_sms" in caplog.text
    assert "no_such_stream" in caplog.text


def entry(catalog):
    return next(stream for stream in catalog["streams"] if stream["tap_stream_id"] == "edna_history")


def listed_twice(catalog):
    catalog["streams"].append(entry(catalog))


def without_schema(catalog):
    del entry(catalog)["schema"]


def without_columns(catalog):
    entry(catalog)["schema"] = {"type": "object"}


def without_key(catalog):
    entry(catalog)["key_properties"] = []


def without_columns_of_key_and_order(catalog):
    for name in ("messageId", "direction", "sentOrReceivedAt"):
        del entry(catalog)["schema"]["properties"][name]


def without_metadata(catalog):
    del entry(catalog)["metadata"]


@pytest.mark.parametrize(
    "change",
    [
        listed_twice,
        without_schema,
        without_columns,
        without_key,
        without_columns_of_key_and_order,
        without_metadata,
    ],
)
def test_an_incomplete_catalog_changes_neither_key_nor_order(life_like, tmp_path, change):
    catalog, path = selecting("edna_history"), tmp_path / "catalog.json"
    change(catalog)
    path.write_text(json.dumps(catalog))
    ended = run_here(config(life_like), tmp_path, more=("--catalog", str(path)))
    assert ended.returncode == 0, ended.stderr
    messages = [json.loads(line) for line in ended.stdout.splitlines()]
    (schema,) = [
        message for message in messages if message["type"] == "SCHEMA" and message["stream"] == "edna_history"
    ]
    assert schema["key_properties"] == ["messageId", "direction"]
    assert {"messageId", "direction", "sentOrReceivedAt"} <= schema["schema"]["properties"].keys()
    records = [message["record"] for message in messages if message["type"] == "RECORD"]
    assert len({(record["messageId"], record["direction"]) for record in records}) == len(life_like.edna)
    assert [record["sentOrReceivedAt"] for record in records] == sorted(
        record["sentOrReceivedAt"] for record in records
    )


@pytest.mark.parametrize("name", ["replication-method", "forced-replication-method"])
def test_metadata_may_request_full_table_replication(life_like, tmp_path, name):
    catalog, path = selecting("edna_history"), tmp_path / "catalog.json"
    root = next(part for part in entry(catalog)["metadata"] if not part["breadcrumb"])
    root["metadata"][name] = "FULL_TABLE"
    path.write_text(json.dumps(catalog))
    state = {"bookmarks": {"edna_history": {"replication_key_value": config(life_like)["end_date"]}}}
    ended = run_here(config(life_like), tmp_path, more=("--catalog", str(path)), state=state)
    assert ended.returncode == 0, ended.stderr
    records = [line for line in ended.stdout.splitlines() if '"RECORD"' in line]
    assert len(records) == len(life_like.edna)


def test_an_unsupported_replication_method_causes_one_line(life_like, tmp_path):
    catalog, path = selecting("edna_history"), tmp_path / "catalog.json"
    entry(catalog)["replication_method"] = "LOG_BASED"
    path.write_text(json.dumps(catalog))
    ended = run_here(config(life_like), tmp_path, more=("--catalog", str(path)))
    (line,) = error_lines(ended.stderr)
    assert "FULL_TABLE" in line
    assert ended.returncode == 1


@pytest.mark.parametrize("name", ["LOGLEVEL", "TAP_MSGHISTORY_LOGLEVEL"])
def test_an_unknown_log_level_causes_one_line(life_like, tmp_path, name):
    ended = run_here(config(life_like), tmp_path, env=environment(**{name: "verbose"}))
    (line,) = error_lines(ended.stderr)
    assert name in line
    assert "DEBUG" in line
    assert ended.returncode == 0


def test_a_missing_file_causes_one_line_and_exit_code_1():
    failed = run("--config", "nowhere.json")
    (line,) = logged_errors(failed)
    assert "nowhere.json" in line
    assert failed.returncode == 1


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"edna_api_key": "wrong"}, "edna_api_key"),
        ({"partner_gateway_api_key": "wrong"}, "partner_gateway_api_key"),
        ({"edna_base_url": "http://127.0.0.1:1", "max_retry_seconds": 0}, "127.0.0.1"),
        ({"edna_base_url": "/nowhere"}, "edna_base_url"),
    ],
)
def test_refused_requests_cause_one_line_and_exit_code_1(life_like, settings, reason, tmp_path):
    if settings.get("edna_base_url") == "/nowhere":
        settings = {"edna_base_url": f"{life_like.url}/nowhere"}
    failed = run(settings=config(life_like, **settings), tmp_path=tmp_path)
    (line,) = logged_errors(failed)
    assert reason in line
    assert failed.returncode == 1


def test_a_closed_pipe_stops_the_tap_with_one_line(life_like, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(life_like)))
    with subprocess.Popen(
        [COMMAND, "--config", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        stderr = process.stderr.read()
        assert process.wait(timeout=30) == 1
    (line,) = [line for line in stderr.splitlines() if "| ERROR" in line or "Error" in line]
    assert "closed" in line


@pytest.mark.parametrize(("closed", "code"), [("2>&-", 0), (">&-", 1)])
def test_a_closed_stdout_fails_but_a_closed_stderr_does_not(sandbox, tmp_path, closed, code):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(sandbox)))
    shell = ["sh", "-c", f'exec "$0" --config "$1" {closed}', str(COMMAND), str(path)]
    finished = subprocess.run(shell, capture_output=True, text=True, check=False, timeout=60)
    assert finished.returncode == code
    if code:
        (line,) = logged_errors(finished)
        assert "Stdout is closed" in line
    else:
        assert json.loads(finished.stdout.splitlines()[-1])["type"] == "STATE"
