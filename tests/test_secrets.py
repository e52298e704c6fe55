"""Canaries: no key, password, address or text appears where it does not belong.

Records contain addresses and texts. Nothing else does: no log at any level, error, state or metric.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from singer_sdk.configuration._dict_config import merge_missing_config_jsonschema
from singer_sdk.helpers.capabilities import FLATTENING_CONFIG, STREAM_MAPS_CONFIG

from msghistory_sandbox.faults import Faults
from msghistory_sandbox.history import Message
from tap_msghistory.config.settings import SETTINGS
from tests.processes import environment, error_lines, run, run_here
from tests.sockets import FixedResponse, Front, serving
from tests.support import CHANNELS, END_MS, STREAMS, EagerTap, config

CANARY = "CANARY"
KEY, PASSWORD, PHONE = f"{CANARY}-key", f"{CANARY}-password", "35000777333"
BASIC = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
PROXY_BASIC = base64.b64encode(f"{CANARY}:{CANARY}".encode()).decode()
CANARIES = (CANARY, PHONE, BASIC, PROXY_BASIC)

DEBUG = {"TAP_MSGHISTORY_LOGLEVEL": "DEBUG", "LOGLEVEL": "DEBUG"}
#: JSON of wrong types, for files and settings.
KINDS = [
    f'"{CANARY}"',
    f'["{CANARY}"]',
    f'[{{"{CANARY}": 1}}]',
    f'{{"{CANARY}": ["{CANARY}"]}}',
    "-7.5",
    "true",
]


@pytest.fixture
def guarded(sandbox):
    """A sandbox with canaries as keys and in every field of its messages."""
    sandbox.edna_options.key = sandbox.gateway_options.key = KEY
    sandbox.gateway_options.username, sandbox.gateway_options.password = "user", PASSWORD
    for number in range(1, 5):
        fields = {
            "comment": f"{CANARY}-comment",
            "unknown": {"deep": [CANARY]},
            CANARY: CANARY,
            "segments": CANARY,
            "deliveryStatusAt": "2024-11-03T12:00:00",  # without an offset, which causes a warning
        }
        message: dict[str, Any] = {
            "sent_ms": END_MS - number,
            "address": PHONE,
            "text": f"{CANARY}-text",
            "fields": fields,
        }
        sandbox.edna.add(Message(id=number, channel="SMS", **message))
        for channel in CHANNELS:
            sandbox.gateway[channel].add(Message(id=f"id {number}", channel=channel, **message))
    return sandbox


def reject_one(sandbox):
    for id_, fields in ((8, {"messageId": CANARY}), (9, {"sentOrReceivedAt": CANARY})):
        sandbox.edna.add(
            Message(id=id_, sent_ms=END_MS, channel="SMS", address=PHONE, text=CANARY, fields=fields)
        )
    missing = {"messageId": msgspec.UNSET}
    sandbox.gateway["RCS"].add(Message(id="x", sent_ms=END_MS, channel="RCS", address=PHONE, fields=missing))


def assert_no_canary(finished):
    """Check that no canary is in stderr, nor in a message other than a record."""
    visible = finished.stderr + "".join(
        line for line in finished.stdout.splitlines() if json.loads(line)["type"] != "RECORD"
    )
    assert [canary for canary in CANARIES if canary in visible] == []


def run_without_pauses(settings, directory, **options):
    return run_here(settings, directory, tap_class=EagerTap, **options)


def sync(settings, tmp_path, *, run=run_without_pauses, env=None, **options):
    finished = run(settings, tmp_path, env=environment(**DEBUG, **(env or {})), **options)
    assert "| DEBUG" in finished.stderr or "| ERROR" in finished.stderr
    assert_no_canary(finished)
    return finished


def assert_failed_in_one_line(finished):
    (line,) = error_lines(finished.stderr)
    assert finished.returncode == 1
    return line


# Successful runs, and options other than a sync.


@pytest.mark.parametrize("credentials", ["key", "password"])
def test_a_successful_run_has_secrets_in_records_only(guarded, tmp_path, credentials):
    reject_one(guarded)
    settings = config(guarded)
    if credentials == "password":
        settings |= {"partner_gateway_username": "user", "partner_gateway_password": PASSWORD}
        del settings["partner_gateway_api_key"]
    finished = sync(settings, tmp_path, run=run)
    assert finished.returncode == 0
    assert "are invalid" in finished.stderr
    assert "assume_timezone" in finished.stderr
    records = [
        line
        for line in finished.stdout.splitlines()
        if '"type":"RECORD","stream":"sync_windows"' not in line and json.loads(line)["type"] == "RECORD"
    ]
    assert sum(PHONE in line for line in records) == len(records) == 4 * 4 + 3


def test_filters_are_not_logged(guarded, tmp_path):
    settings = config(guarded, edna_subscriber_address=PHONE, edna_subscriber_type="PHONE")
    assert sync(settings, tmp_path).returncode == 0


def test_exceeding_max_rejected_shows_no_message(guarded, tmp_path):
    reject_one(guarded)
    line = assert_failed_in_one_line(sync(config(guarded, max_rejected=1), tmp_path, run=run))
    assert "max_rejected" in line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_a_full_disk_shows_no_message(guarded, tmp_path):
    with Path("/dev/full").open("wb") as full:
        assert_failed_in_one_line(sync(config(guarded), tmp_path, run=run, stdout=full))


@pytest.mark.parametrize("more", ["--discover", "--about", "--test", "--test=schema"])
def test_options_other_than_a_sync_show_no_secrets(guarded, tmp_path, more):
    finished = run_here(config(guarded), tmp_path, more=(more,), env=environment(**DEBUG))
    assert finished.returncode == 0
    assert [canary for canary in CANARIES if canary in finished.stderr] == []
    assert KEY not in finished.stdout


# Responses.


def http(status, body=b"", *headers):
    head = b"".join(b"%b\r\n" % header for header in headers)
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n%b\r\n%b" % (status, len(body), head, body)


QUOTABLE = b'{"content": [{"address": "CANARY", "content": "CANARY"}], "error": "CANARY"}'
RESPONSES = {
    "401": http(b"401 CANARY", b'{"error": "Api key not found", "description": "CANARY-key"}'),
    "403": http(b"403 CANARY", QUOTABLE, b"Set-Cookie: CANARY=CANARY"),
    "404": http(b"404 CANARY", QUOTABLE),
    "400": http(b"400 CANARY", b'{"error": "not-valid-request", "description": "CANARY"}'),
    "422": http(b"422 CANARY", QUOTABLE),
    "429": http(b"429 CANARY", b'{"retryAfter": "CANARY", "message": "CANARY"}', b"Retry-After: CANARY"),
    "500": http(b"500 CANARY", QUOTABLE),
    "redirect": http(b"307 CANARY", b"CANARY", b"Location: https://CANARY.test/CANARY?CANARY"),
    "HTML": http(b"200 OK", b"<title>CANARY</title>"),
    "another JSON": http(b"200 OK", b'{"CANARY": "CANARY"}'),
    "a cut body": http(b"200 OK", QUOTABLE)[:-9],
    "a cut JSON": http(b"200 OK", QUOTABLE[:-9]),
    "a broken row": http(b"200 OK", b'{"content": "CANARY", "hasNext": false}'),
    "broken text": http(b"200 OK", b'{"content": [{"CANARY": "CANARY \xff\\ud83d"}], "hasNext": "CANARY"}'),
    "broken gzip": http(b"200 OK", QUOTABLE, b"Content-Encoding: gzip"),
    "a broken header": http(b"500 CANARY", b"", b"CANARY without a colon", b" CANARY folded"),
    "a broken length": b"HTTP/1.1 200 OK\r\nContent-Length: CANARY\r\n\r\nCANARY",
    "a broken chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nCANARY\r\nCANARY",
    "no HTTP": b"CANARY\r\n\r\n",
}


@pytest.mark.parametrize("response", RESPONSES.values(), ids=RESPONSES)
def test_no_response_is_quoted(guarded, tmp_path, response):
    server = FixedResponse(response)
    with serving(server) as port:
        base_url = f"http://127.0.0.1:{port}"
        finished = sync(config(guarded, edna_base_url=base_url, max_retry_seconds=2), tmp_path)
    assert_failed_in_one_line(finished)
    assert KEY.encode() in server.requests[0], "the key was not sent, so the test is void"


def test_a_refused_password_is_not_shown(guarded, tmp_path):
    guarded.gateway_options.password = "another"
    settings = config(guarded, partner_gateway_username="user", partner_gateway_password=PASSWORD)
    del settings["partner_gateway_api_key"]
    line = assert_failed_in_one_line(sync(settings, tmp_path))
    assert "partner_gateway_password" in line


def test_retries_show_no_secrets(guarded, tmp_path):
    guarded.faults = Faults(
        drop_rate=0.1, truncate_rate=0.1, html_rate=0.1, malformed_rate=0.1, fail_next=2, seed=3
    )
    finished = sync(config(guarded, page_size=1), tmp_path)
    assert finished.returncode == 0
    assert "retrying in" in finished.stderr


def test_a_key_is_sent_only_to_the_configured_host(guarded, tmp_path):
    elsewhere = Front(guarded.url)
    with serving(elsewhere) as port:
        guarded.faults.redirect_to = f"http://127.0.0.1:{port}"
        settings = config(guarded, partner_gateway_api_key=None)
        line = assert_failed_in_one_line(sync(settings, tmp_path, run=run))
    assert "redirect" in line
    assert elsewhere.requests == []


# Proxies and certificates.


@pytest.mark.parametrize("status", [b"403 CANARY", b"407 CANARY"])
def test_a_refusing_proxys_password_is_not_shown(guarded, tmp_path, status):
    with serving(FixedResponse(http(status, b"CANARY", b"Proxy-Authenticate: CANARY"))) as port:
        env = {"HTTPS_PROXY": f"http://{CANARY}:{CANARY}@127.0.0.1:{port}"}
        settings = config(guarded, edna_base_url="https://vendor.test", max_retry_seconds=0)
        assert_failed_in_one_line(sync(settings, tmp_path, env=env))


@pytest.mark.parametrize(
    "proxy", ["gopher://{}@127.0.0.1:9", "http://{}@127.0.0.1:port", "http://{}@127.0.0.1:9"]
)
def test_an_unusable_proxys_password_is_not_shown(guarded, tmp_path, proxy):
    env = {"HTTPS_PROXY": proxy.format(f"{CANARY}:{CANARY}")}
    settings = config(guarded, edna_base_url="https://vendor.test", max_retry_seconds=0)
    assert_failed_in_one_line(sync(settings, tmp_path, env=env))


# Mistakes of users.


def all_settings():
    schema = {"properties": dict(SETTINGS["properties"])}
    for builtin in (STREAM_MAPS_CONFIG, FLATTENING_CONFIG):
        merge_missing_config_jsonschema(builtin, schema)
    return schema["properties"]


@pytest.mark.parametrize("kind", KINDS)
def test_settings_of_wrong_types_are_not_quoted(tmp_path, kind):
    settings = dict.fromkeys(all_settings(), json.loads(kind))
    finished = sync(settings, tmp_path)
    lines = error_lines(finished.stderr)
    assert len(lines) > 5
    assert all("Setting " in line for line in lines)


@pytest.mark.parametrize("kind", KINDS[:-3])
def test_wrong_environment_variables_are_not_quoted(tmp_path, kind):
    env = {
        f"TAP_MSGHISTORY_{name.upper()}": kind
        for name, setting in all_settings().items()
        if name != "start_date" and "object" not in setting["type"]
    }
    finished = sync({"start_date": "2024-01-01"}, tmp_path, env=env, more=("--config", "ENV"))
    assert finished.returncode == 1
    assert all("Setting " in line for line in error_lines(finished.stderr))


@pytest.mark.parametrize("content", [*KINDS[:3], '{"edna_api_key": "CANARY-key"', "\x00CANARY"])
def test_an_unreadable_config_is_not_quoted(tmp_path, content):
    assert_failed_in_one_line(sync(content, tmp_path))


BOOKMARKS = [
    *KINDS[:3],
    "null",
    '{"replication_key_value": "CANARY"}',
    '{"replication_key_value": ["CANARY"]}',
    '{"replication_key_value": "2024-01-01", "as_of": {"CANARY": "CANARY"}}',
    '{"revisited_to": "CANARY"}',
    '{"revisited_to": {"CANARY": "CANARY"}}',
]
STATES = [
    *KINDS[:3],
    "{CANARY",
    *(f'{{"bookmarks": {kind}}}' for kind in [*KINDS[:4], "null"]),
    *(f'{{"bookmarks": {{"edna_history": {bookmark}}}}}' for bookmark in BOOKMARKS),
]


@pytest.mark.parametrize("state", STATES)
def test_an_unreadable_state_is_not_quoted(guarded, tmp_path, state):
    finished = run_here(config(guarded), tmp_path, state=state, env=environment(**DEBUG))
    assert "state" in assert_failed_in_one_line(finished)
    assert CANARY not in finished.stderr  # stdout starts with the state, unchanged


@pytest.mark.parametrize(
    "catalog", [*KINDS[:3], "{CANARY", '{"streams": "CANARY"}', '{"streams": [{"CANARY": 1}]}']
)
def test_an_unreadable_catalog_is_not_quoted(guarded, tmp_path, catalog):
    path = tmp_path / "catalog.json"
    path.write_text(catalog)
    line = assert_failed_in_one_line(sync(config(guarded), tmp_path, more=("--catalog", str(path))))
    assert "catalog" in line


MAPS = {
    "a conversion that fails": {"edna_history": {"number": "int(content)"}},
    "an invalid time": {"edna_history": {"at": "datetime.datetime.strptime(address, '%Y')"}},
    "a key that is missing": {"edna_history": {"of": "extraFields[address]"}},
    "a missing value": {"edna_history": {"hash": "md5(broadcastName)"}},
    "an unknown column": {"edna_history": {"hash": "md5(adress)"}},
    "an invalid expression": {"edna_history": {"hash": "md5("}},
    "no key": {"edna_history": {"messageId": None}},
    "a secret that is not a number": {"edna_history": {"number": "int(config['salt'])"}},
}


@pytest.mark.parametrize("maps", MAPS.values(), ids=MAPS)
def test_a_failing_stream_map_shows_no_secrets(guarded, tmp_path, maps):
    settings = config(guarded, stream_maps=maps, stream_map_config={"salt": f"{CANARY}-salt"})
    assert "stream_maps" in assert_failed_in_one_line(sync(settings, tmp_path))


def test_working_stream_maps_show_no_secrets(guarded, tmp_path):
    texts = {**dict.fromkeys(STREAMS, "body"), "edna_history": "content"}
    maps = {
        stream: {"__filter__": text, "salted": "md5(config['salt'] + __stream_name__)"}
        for stream, text in texts.items()
    }
    settings = config(guarded, stream_maps=maps, stream_map_config={"salt": f"{CANARY}-salt"})
    finished = sync(settings, tmp_path)
    assert finished.returncode == 0
    assert PHONE in finished.stdout
