"""The setting `reread`: exactly the given ranges are read, and no bookmark moves."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_msghistory.config.settings import SETTINGS
from tap_msghistory.config.validation import errors
from tap_msghistory.errors import TapError
from tap_msghistory.planning import rereads
from tap_msghistory.planning.rereads import RereadRange
from tap_msghistory.planning.windows import MAX_SPAN
from tests.support import END, LEDGER, STREAMS, config, iso, sync
from tests.vendors import Vendor, edna_row, spread

EDNA = "edna_history"
DAY = timedelta(days=1)
START = END - timedelta(days=30)


def day(number, stream=EDNA):
    """Return one day as a range; day 0 is the first."""
    return {"stream": stream, "from": iso(START + number * DAY), "to": iso(START + (number + 1) * DAY)}


@pytest.fixture(scope="module")
def vendor():
    rows = [edna_row(number, sent) for number, sent in enumerate(spread(3_000, 30 * DAY), start=1)]
    with Vendor(rows).serve() as served:
        yield served


def sent_in(output, number):
    bounds = day(number)
    records = output.records(EDNA)
    return [record for record in records if bounds["from"] < record["sentOrReceivedAt"] <= bounds["to"]]


def test_exactly_the_given_ranges_are_read(vendor):
    full = sync(vendor.settings())
    output = sync(vendor.settings(reread=[day(3), day(20)]), state=full.state)
    assert output.records(EDNA) == [*sent_in(full, 3), *sent_in(full, 20)]
    windows = [(row["windowFrom"], row["windowTo"], row["reason"]) for row in output.records(LEDGER)]
    assert windows == [(day(number)["from"], day(number)["to"], "reread") for number in (3, 20)]


def test_bookmarks_stay_where_they_were(vendor):
    state = sync(vendor.settings(end_date=iso(START + 10 * DAY))).state
    assert sync(vendor.settings(reread=[day(3)]), state=state).state == state
    assert sync(vendor.settings(reread=[day(3)])).state["bookmarks"].get(EDNA, {}) == {}


def test_ranges_before_start_date_and_after_end_date_are_read(vendor):
    settings = vendor.settings(start_date=iso(START + 9 * DAY), end_date=iso(START + 10 * DAY))
    output = sync({**settings, "reread": [day(3), day(20)]})
    assert len(sent_in(output, 3)) == len(sent_in(output, 20)) == 100


def test_other_streams_are_not_read(life_like):
    output = sync(config(life_like, reread=[{**day(25), "stream": "partner_gateway_history_sms"}]))
    read = [stream for stream in STREAMS if output.records(stream)]
    assert read == ["partner_gateway_history_sms"]


@pytest.mark.parametrize(
    "value",
    [
        [day(3)],
        [f"{EDNA}={day(3)['from']}/{day(3)['to']}"],
        f"{EDNA}={day(3)['from']}/{day(3)['to']}",
        f" {EDNA}={day(3)['from']}/{day(3)['to']} , {EDNA}={day(3)['from']}/{day(3)['to']}",
        json.dumps([day(3)]),
    ],
    ids=["objects", "texts", "text", "text with spaces", "JSON"],
)
def test_every_form_reads_the_range_once(vendor, value):
    assert len(sync(vendor.settings(reread=value)).records(EDNA)) == 100


def test_a_range_that_the_vendor_refuses_is_an_error():
    rows = [edna_row(number, sent) for number, sent in enumerate(spread(100, 30 * DAY), start=1)]
    refusing = Vendor(rows, status=lambda start, _: 400 if start < START + 10 * DAY else 200)
    with refusing.serve(), pytest.raises(TapError, match="400"):
        sync(refusing.settings(reread=[day(3)]))


def test_a_stream_that_is_not_enabled_is_an_error(vendor):
    with pytest.raises(TapError, match="reread: edna_histori is not an enabled stream; did you mean edna_hi"):
        sync(vendor.settings(reread=[day(3), day(3, "edna_histori")]))


@pytest.mark.parametrize(
    "value",
    [
        "edna_history",
        "edna_history=2024-03-01",
        "edna_history=2024-03-02/2024-03-01",
        "=2024-03-01/2024-03-02",
        [{"stream": EDNA, "from": "2024-03-01"}],
        [{"stream": EDNA, "from": "2024-03-01", "to": "soon"}],
        [7],
        "[",
    ],
    ids=str,
)
def test_an_invalid_range_is_an_error_with_an_example(value):
    (error,) = errors({"start_date": "2024-01-01", "edna_api_key": "k", "reread": value}, SETTINGS)
    assert error.startswith("Setting reread must be a list of ranges, for example")


MINUTES = st.integers(0, 60 * 24 * 800)


@given(st.lists(st.tuples(MINUTES, MINUTES), max_size=6), MINUTES)
def test_windows_cover_exactly_the_ranges_and_never_overlap(bounds, until):
    def moment(minutes):
        return START + timedelta(minutes=minutes)

    ranges = [RereadRange(EDNA, moment(min(pair)), moment(max(pair))) for pair in bounds]
    windows = rereads.windows(ranges, EDNA, moment(until), MAX_SPAN)
    assert all(earlier.end <= later.start for earlier, later in pairwise(windows))
    assert all(window.end - window.start <= MAX_SPAN for window in windows)
    for instant in {bound for window in windows for bound in (window.start, window.end)} | {
        moment(minutes) for pair in bounds for minutes in pair
    }:
        covered = any(window.start < instant <= window.end for window in windows)
        assert covered == (instant <= moment(until) and any(r.start < instant <= r.end for r in ranges))


@given(st.lists(st.tuples(MINUTES, st.integers(1, 10_000)), max_size=4))
def test_the_text_of_a_range_is_read_as_that_range(bounds):
    ranges = tuple(
        RereadRange(EDNA, START + timedelta(minutes=start), START + timedelta(minutes=start + length))
        for start, length in bounds
    )
    assert rereads.parse([*map(str, ranges)]) == ranges
