"""States that other versions, other taps or users have written."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tap_msghistory.errors import TapError
from tap_msghistory.planning import bookmarks
from tap_msghistory.planning.bookmarks import Bookmark
from tap_msghistory.timestamps import floor, parse_duration
from tests.processes import environment, error_lines, run_here
from tests.support import ROOT, STREAMS, config, iso, replication_key, sync, truth
from tests.vendors import END, Vendor, edna_row, spread

EDNA = "edna_history"
READ_TO = "2024-11-03T06:00:00"
START = datetime(2020, 1, 1, tzinfo=timezone.utc)
EARLIEST = datetime(1970, 1, 1, tzinfo=timezone.utc)
LATEST = datetime(9998, 12, 31, 23, 59, 59, 999_000, timezone.utc)
MOMENTS = st.datetimes(
    EARLIEST.replace(tzinfo=None), LATEST.replace(tzinfo=None), timezones=st.just(timezone.utc)
).map(floor)
AGES = st.integers(1, 36_525 * 86_400).map(lambda seconds: timedelta(seconds=seconds))


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


FOREIGN = (
    "it has neither replication_key_value nor revisited_to, so it may belong to another tap. To "
    "resynchronize from start_date, delete the state"
)
ANOTHER_KEY = "its replication_key is not sentOrReceivedAt, so it may belong to another tap"
NOT_A_TIME = (
    "replication_key_value, as_of, read_from and the values of revisited_to must be ISO 8601 times from 1970 "
    "to 9998"
)


@pytest.mark.parametrize(
    ("bookmark", "reason"),
    [
        ({"since": READ_TO}, FOREIGN),
        ({"replication_key_valu": READ_TO}, FOREIGN),
        ({"replication_key": "sentOrReceivedAt"}, FOREIGN),
        ({"version": 1, "starting_replication_value": READ_TO}, FOREIGN),
        ({"replication_key": "updatedAt", "replication_key_value": READ_TO}, ANOTHER_KEY),
        ({"replication_key_value": "1730635200000"}, NOT_A_TIME),
        ({"replication_key_value": 1730635200000}, NOT_A_TIME),
        ({"replication_key_value": "yesterday"}, NOT_A_TIME),
        ({"replication_key_value": "20241103T060000Z"}, NOT_A_TIME),
        ({"replication_key_value": "0001-01-01T00:00:00Z"}, NOT_A_TIME),
        ({"replication_key_value": "1969-12-31T23:59:59Z"}, NOT_A_TIME),
        ({"replication_key_value": "9999-01-01T00:00:00Z"}, NOT_A_TIME),
        ({"replication_key_value": "2024-13-01T00:00:00Z"}, NOT_A_TIME),
        ({"replication_key_value": READ_TO, "as_of": "0001-01-01T00:00:00Z"}, NOT_A_TIME),
        ({"replication_key_value": READ_TO, "read_from": "yesterday"}, NOT_A_TIME),
        ({"replication_key_value": READ_TO, "revisited_to": {"a while": READ_TO}}, NOT_A_TIME),
        ({"replication_key_value": READ_TO, "revisited_to": [READ_TO]}, NOT_A_TIME),
    ],
    ids=json.dumps,
)
def test_an_unreadable_bookmark_is_refused_before_any_request(server, bookmark, reason):
    with pytest.raises(TapError) as refused:
        sync(server.settings(), state=state(**bookmark))
    assert str(refused.value) == f"The state of {EDNA} is not readable: {reason}"
    assert server.requests == []


@given(MOMENTS, MOMENTS, st.dictionaries(AGES, MOMENTS, max_size=5), st.none() | MOMENTS)
@example(EARLIEST, LATEST, {timedelta(seconds=1): EARLIEST}, LATEST)
def test_a_bookmark_survives_being_stored_as_json(read_to, as_of, revisited_to, read_from):
    bookmark = Bookmark(read_to, as_of, revisited_to, read_from)
    stored: dict[str, str] = {}
    bookmarks.write(bookmark, "sendDate", stored)
    assert bookmarks.read(json.loads(json.dumps(stored)), START, "sendDate") == bookmark


def test_a_stored_bookmark_has_the_documented_names():
    first = Bookmark(START, START, {timedelta(hours=1): START + timedelta(minutes=1)}, START)
    stored: dict[str, object] = {}
    bookmarks.write(first, "sendDate", stored)
    times = dict.fromkeys(("replication_key_value", "as_of", "read_from"), "2020-01-01T00:00:00.000Z")
    assert stored == {
        "replication_key": "sendDate",
        **times,
        "revisited_to": {"PT3600S": "2020-01-01T00:01:00.000Z"},
    }
    bookmarks.write(Bookmark(START, START, read_from=START), "sendDate", stored)
    assert stored == {"replication_key": "sendDate", **times}


def test_a_bookmark_without_a_position_starts_at_the_start_date():
    assert bookmarks.read({}, START, "sendDate") == Bookmark(START, START, read_from=START)
    stopped = bookmarks.read({"revisited_to": {"P1D": "2020-02-01"}}, START, "sendDate")
    assert stopped == Bookmark(START, START, {timedelta(days=1): datetime(2020, 2, 1, tzinfo=timezone.utc)})


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


STORED = sorted((ROOT / "tests" / "states").glob("*.json"))
REVISIT_AFTER = {"PT1H": timedelta(hours=1), "P1D": timedelta(days=1)}


def ranges(bookmark):
    """Return the ranges that a run up to `END` reads, from the documented meaning of a bookmark."""
    progress = {parse_duration(age): moment for age, moment in bookmark.get("revisited_to", {}).items()}
    yield datetime.fromisoformat(bookmark["replication_key_value"].replace("Z", "+00:00")), END
    as_of = datetime.fromisoformat(bookmark["as_of"].replace("Z", "+00:00"))
    for age in REVISIT_AFTER.values():
        reached = progress.get(age)
        start = datetime.fromisoformat(reached.replace("Z", "+00:00")) if reached else as_of - age
        yield start, END - age


@pytest.mark.parametrize("stored", STORED, ids=lambda path: path.stem)
def test_a_stored_state_of_an_earlier_version_continues(stored, life_like):
    """The names of the files are the commits whose tap has written them."""
    content = json.loads(stored.read_text())
    output = sync(config(life_like, revisit_after=[*REVISIT_AFTER], visibility_lag="PT0S"), state=content)
    for stream in STREAMS:
        bounds = [*ranges(content["bookmarks"][stream])]
        expected = {
            record["messageId"]
            for record in truth(life_like, stream)
            for start, end in bounds
            if iso(start) < record[replication_key(stream)] <= iso(end)
        }
        found = {record["messageId"] for record in output.records(stream)}
        assert expected
        assert found == expected
        assert output.bookmark(stream)["replication_key_value"] == iso(END)


def test_states_of_earlier_versions_are_kept():
    assert len(STORED) >= 4
