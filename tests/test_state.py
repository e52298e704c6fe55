"""States that other versions, other taps or users have written."""

from __future__ import annotations

import json

import pytest

from tap_msghistory.errors import TapError
from tests.processes import environment, error_lines, run_here
from tests.support import sync
from tests.vendors import END, Vendor, edna_row, spread

EDNA = "edna_history"
READ_TO = "2024-11-03T06:00:00"


@pytest.fixture
def server():
    sent = spread(24, END - END.replace(hour=0))
    with Vendor([edna_row(number, moment) for number, moment in enumerate(sent, start=1)]).serve() as vendor:
        yield vendor


def state(**bookmark):
    return {"bookmarks": {EDNA: bookmark}}


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu"])
@pytest.mark.parametrize(
    "text", [READ_TO, READ_TO.replace("T", " "), f"{READ_TO}Z", "2024-11-03T08:00:00+02:00"]
)
def test_a_time_without_an_offset_means_utc_on_every_machine(server, tmp_path, zone, text):
    bookmark = state(replication_key_value=text, as_of=text)
    ended = run_here(server.settings(revisit_after=[]), tmp_path, state=bookmark, env=environment(TZ=zone))
    assert ended.returncode == 0, ended.stderr
    messages = [json.loads(line) for line in ended.stdout.splitlines()]
    sent = [
        message["record"]["sentOrReceivedAt"]
        for message in messages
        if message.get("stream") == EDNA and "record" in message
    ]
    assert (len(sent), min(sent)) == (12, "2024-11-03T06:29:59.000Z")


@pytest.mark.parametrize(
    "bookmark",
    [
        {"since": READ_TO},
        {"replication_key_valu": READ_TO},
        {"replication_key": "sentOrReceivedAt"},
        {"version": 1, "starting_replication_value": READ_TO},
        {"replication_key": "updatedAt", "replication_key_value": READ_TO},
        {"replication_key_value": "1730635200000"},
        {"replication_key_value": 1730635200000},
        {"replication_key_value": "yesterday"},
        {"replication_key_value": "20241103T060000Z"},
        {"replication_key_value": "0001-01-01T00:00:00Z"},
        {"replication_key_value": "9999-12-31T23:59:59Z"},
        {"replication_key_value": "2024-13-01T00:00:00Z"},
        {"replication_key_value": READ_TO, "as_of": "0001-01-01T00:00:00Z"},
        {"replication_key_value": READ_TO, "revisited_to": {"a while": READ_TO}},
        {"replication_key_value": READ_TO, "revisited_to": [READ_TO]},
    ],
    ids=json.dumps,
)
def test_an_unreadable_bookmark_is_refused_before_any_request(server, bookmark):
    with pytest.raises(TapError, match=f"The state of {EDNA} is not readable"):
        sync(server.settings(), state=state(**bookmark))
    assert server.requests == []


@pytest.mark.parametrize("bookmarks", [[], {EDNA: READ_TO}, {EDNA: None}, "none"])
def test_a_state_of_another_form_causes_one_line(server, tmp_path, bookmarks):
    ended = run_here(server.settings(), tmp_path, state={"bookmarks": bookmarks})
    (line,) = error_lines(ended.stderr)
    assert "state" in line
    assert ended.returncode == 1
    assert server.requests == []


@pytest.mark.parametrize("bookmarks", [{}, {EDNA: {}}])
def test_an_empty_bookmark_is_a_first_run(server, bookmarks):
    assert len(sync(server.settings(), state={"bookmarks": bookmarks}).records(EDNA)) == 24


def test_a_bookmark_of_an_unknown_stream_is_named(server, caplog):
    sync(server.settings(), state={"bookmarks": {"orders": {"replication_key_value": READ_TO}}})
    assert "a bookmark for orders, which is not a stream of this tap" in caplog.text
