"""Retention periods, wrong clocks, and connection tests."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from tap_msghistory.errors import ApiError
from tap_msghistory.tap import TapMessageHistory
from tests.support import LEDGER, iso, selecting, sync
from tests.vendors import END, Vendor, edna_row, gateway_row, spread

EDNA, SMS = "edna_history", "partner_gateway_history_sms"
DAY = timedelta(days=1)


def vendor(make=edna_row, keeps=timedelta(days=20), count=100):
    rows = [make(number, sent) for number, sent in enumerate(spread(count, 40 * DAY), start=1)]
    return Vendor(rows, status=lambda start, _end: 400 if start < END - keeps else 200)


def settings(server, make, **more):
    return (server.settings if make is edna_row else server.gateway_settings)(**more)


@pytest.mark.parametrize("make", [edna_row, gateway_row])
def test_a_refused_revisit_is_skipped_and_new_messages_arrive(make, caplog):
    server, stream = vendor(make), EDNA if make is edna_row else SMS
    with server.serve():
        start = (END - 2 * DAY).isoformat()
        state = {"bookmarks": {stream: {"replication_key_value": start, "as_of": start}}}
        catalog = selecting(stream, LEDGER)
        output = sync(settings(server, make, revisit_after=["P1D", "P30D"]), state=state, catalog=catalog)
    rows = {
        row["reason"]: row for row in output.records(LEDGER) if row["stream"] == stream and row["refused"]
    }
    assert rows.keys() == {"revisit"}
    assert rows["revisit"]["confirmed"] is False
    assert output.bookmark(stream)["replication_key_value"].startswith("2024-11-03T12:00")
    assert len(output.records(stream)) > 2
    assert "revisit_after" in caplog.text


@pytest.mark.parametrize("make", [edna_row, gateway_row])
def test_a_refused_new_range_names_start_date(make):
    server = vendor(make)
    with server.serve(), pytest.raises(ApiError, match="start_date") as caught:
        sync(settings(server, make), catalog=selecting(EDNA if make is edna_row else SMS))
    assert caught.value.status == 400


def test_a_refusal_of_every_range_is_reported_as_received():
    server = vendor(keeps=-100 * DAY)
    start = (END - 2 * DAY).isoformat()
    state = {"bookmarks": {EDNA: {"replication_key_value": start, "as_of": start}}}
    errors: list[Exception] = []
    with server.serve():
        output = sync(server.settings(), state=state, catch=errors.append)
    assert "retention" not in str(errors[0])
    assert output.bookmark(EDNA)["replication_key_value"] == start


@pytest.mark.parametrize("make", [edna_row, gateway_row])
def test_a_connection_test_requests_one_small_page_per_stream(make):
    server = vendor(make, keeps=365 * DAY, count=12_000)
    with server.serve():
        names = [EDNA] if make is edna_row else [SMS]
        tap = TapMessageHistory(config=settings(server, make), catalog=selecting(*names))
        assert tap.run_connection_test()
    assert len(server.requests) == 1
    assert all(int(request["limit"]) <= 10 for request in server.requests)


@pytest.mark.parametrize("make", [edna_row, gateway_row])
@pytest.mark.parametrize("ahead", [timedelta(minutes=4), timedelta(minutes=6), timedelta(days=45)])
def test_a_wrong_clock_reads_up_to_the_servers_time(make, ahead, caplog):
    now = datetime.now(timezone.utc)
    theirs = now - ahead
    rows = [make(number, sent) for number, sent in enumerate(spread(50, 30 * DAY, end=theirs), start=1)]
    server = Vendor(rows, headers={"Date": format_datetime(theirs, usegmt=True)})
    stream = EDNA if make is edna_row else SMS
    with server.serve():
        chosen = settings(server, make, start_date=iso(theirs - 60 * DAY), visibility_lag="PT0S")
        del chosen["end_date"]
        output = sync(chosen, catalog=selecting(stream))
    is_far = ahead > timedelta(minutes=5)
    read_to = datetime.fromisoformat(output.bookmark(stream)["replication_key_value"])
    assert abs(read_to - (theirs if is_far else now)) < timedelta(minutes=1)
    assert caplog.text.count("Check this machine's clock") == is_far
    assert len(output.records(stream)) == len(rows)


def test_an_earlier_start_date_than_the_states_causes_a_warning(caplog):
    server = vendor(keeps=365 * DAY)
    with server.serve():
        first = sync(settings(server, edna_row, start_date=iso(END - 10 * DAY)))
        assert "no effect" not in caplog.text
        sync(settings(server, edna_row, start_date=iso(END - 30 * DAY)), state=first.state)
    assert caplog.text.count("has no effect on edna_history: its state starts at") == 1


def test_messages_far_outside_the_range_cause_one_warning(caplog):
    rows = [edna_row(number, END - 400 * DAY) for number in range(1, 8)] + [edna_row(9, END - DAY)]
    server = Vendor(rows, selects=lambda *_: True)
    with server.serve():
        output = sync(server.settings())
    assert len(output.records(EDNA)) == 8
    assert "7 messages of edna_history have send times more than two days outside" in caplog.text
