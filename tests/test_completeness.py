"""A window is complete only when the vendor confirms it: servers that would lose messages silently do not."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from itertools import accumulate

import pytest

from tests.processes import environment
from tests.support import LEDGER, ROOT, selecting, sync
from tests.vendors import END, Vendor, edna_row, gateway_row, spread

EDNA, SMS = "edna_history", "partner_gateway_history_sms"
DAYS = timedelta(days=60)


def edna(count, span=DAYS, **options):
    return Vendor([edna_row(*numbered) for numbered in enumerate(spread(count, span), start=1)], **options)


def gateway(count, span=DAYS, **options):
    return Vendor([gateway_row(*numbered) for numbered in enumerate(spread(count, span), start=1)], **options)


def read(vendor, **settings):
    """Read the vendor as edna or as the gateway, by what its rows are."""
    is_edna = isinstance(vendor.rows[0]["messageId"], int)
    with vendor.serve():
        output = sync((vendor.settings if is_edna else vendor.gateway_settings)(**settings))
    return output, output.records(EDNA if is_edna else SMS)


def assert_all_arrive_once(records, rows):
    arrived = Counter(record["messageId"] for record in records)
    assert arrived == Counter(row["messageId"] for row in rows)


def confirmed(output):
    windows = [row for row in output.records(LEDGER) if row["stream"] in (EDNA, SMS)]
    return [row["confirmed"] for row in windows]


@pytest.mark.parametrize("newest_first", [True, False])
def test_pages_cut_short_by_bytes_lose_nothing(newest_first):
    vendor = gateway(6_000, page_bytes=50_000, newest_first=newest_first)
    output, records = read(vendor)
    assert_all_arrive_once(records, vendor.rows)
    assert all(confirmed(output))


@pytest.mark.parametrize("make", [edna, gateway])
@pytest.mark.parametrize("skip_by_cap", [True, False])
@pytest.mark.parametrize(("before", "after"), [(1000, 500), (1000, 37), (200, 1000), (500, 499)])
def test_a_page_cap_may_change_during_a_run(make, skip_by_cap, before, after):
    vendor = make(12_000 if after > 100 else 3_500, skip_by_cap=skip_by_cap)
    first = 9 if after > 100 else 2
    vendor.page_cap = lambda request: before if request < first else after
    _, records = read(vendor)
    assert_all_arrive_once(records, vendor.rows)


@pytest.mark.parametrize("make", [edna, gateway])
@pytest.mark.parametrize("page_size", [1000, 300])
@pytest.mark.parametrize("max_rows", [1000, 2500, 4000, 10_000])
def test_a_limit_on_the_rows_of_a_query_loses_nothing(make, page_size, max_rows):
    vendor = make(max(12_000, 2 * max_rows), max_rows=max_rows)
    output, records = read(vendor, page_size=page_size)
    assert_all_arrive_once(records, vendor.rows)
    assert all(confirmed(output))


@pytest.mark.parametrize("make", [edna, gateway])
def test_more_rows_in_a_millisecond_than_the_limit_are_reported(make, caplog):
    vendor = make(12_000, max_rows=4_000)
    burst = vendor.rows[0] | {name: END.isoformat() for name in vendor.rows[0] if name.startswith("sen")}
    ids = range(10**6, 10**6 + 5_000) if make is edna else map(str, range(5_000))
    vendor.rows += [burst | {"messageId": number} for number in ids]
    output, records = read(vendor)
    assert len(records) == 12_000 + 4_000
    assert confirmed(output).count(False) == 1
    assert "cannot be split further" in caplog.text


@pytest.mark.parametrize("make", [edna, gateway])
@pytest.mark.parametrize("request_number", [1, 2, 4, 6])
def test_rows_deleted_between_pages_hide_no_others(make, request_number):
    vendor = make(8_000)
    survivors = vendor.rows[:100] + vendor.rows[107:-107] + vendor.rows[-100:]

    def delete(request):
        if request == request_number:
            vendor.rows = survivors

    vendor.before_request = delete
    output, records = read(vendor)
    assert {row["messageId"] for row in survivors} <= {record["messageId"] for record in records}
    assert all(confirmed(output))


@pytest.mark.parametrize("make", [edna, gateway])
def test_rows_deleted_at_every_request_end_in_a_warning(make, caplog):
    vendor = make(6_000)
    gone = []

    def delete(request):
        gone.append(vendor.rows.pop(request * 3))

    vendor.before_request = delete
    output, records = read(vendor)
    assert {row["messageId"] for row in vendor.rows} <= {record["messageId"] for record in records}
    assert False in confirmed(output)
    assert "kept moving" in caplog.text


@pytest.mark.parametrize("make", [edna, gateway])
@pytest.mark.parametrize("count", [1, 21, 300, 2_500])
def test_rows_that_arrive_with_every_request_are_no_endless_repetition(make, count):
    vendor = make(count)
    before = {row["messageId"] for row in vendor.rows}

    def arrive(request):
        number = -request if make is edna else f"new {request}"
        vendor.rows.append(vendor.rows[-1] | {"messageId": number})

    vendor.before_request = arrive
    _, records = read(vendor)
    assert before <= {record["messageId"] for record in records}
    assert len(vendor.requests) < 60 + count / 100


@pytest.mark.parametrize("moves", [1, 20])
def test_rows_moved_to_the_front_are_not_lost(moves):
    vendor = gateway(5_000)

    def move(request):
        if 1 < request <= 1 + moves:
            vendor.rows.append(vendor.rows.pop(200 * request % 2_000))

    vendor.before_request = move
    _, records = read(vendor)
    assert_all_arrive_once(records, vendor.rows)


def test_rows_listed_twice_are_emitted_once_and_confirmed():
    vendor = gateway(3_000)
    vendor.rows[1_000:1_000] = vendor.rows[990:1_000]
    output, records = read(vendor)
    assert_all_arrive_once(records, gateway(3_000).rows)
    assert all(confirmed(output))


@pytest.mark.parametrize(
    ("make", "count"), [(edna, 20_000), (edna, 25_000), (gateway, 20_000), (gateway, 35_000)]
)
def test_an_honest_server_is_asked_little(make, count):
    vendor = make(count)
    output, records = read(vendor)
    assert len(records) == count
    pages = [request for request in vendor.requests if request.get("channel", "SMS") == "SMS"]
    assert len(pages) <= 1.3 * count / 1000
    assert all(confirmed(output))


@pytest.mark.parametrize(("make", "requests"), [(edna, 1), (gateway, 2)])
def test_a_window_of_one_short_page_takes_as_few_requests(make, requests):
    vendor = make(200)
    output, _ = read(vendor)
    (window,) = [row for row in output.records(LEDGER) if row["stream"] in (EDNA, SMS)]
    assert (window["requests"], window["confirmed"]) == (requests, True)


def whole_days(sent, start, end):
    return start.date() <= sent.date() <= end.date()


def whole_minutes(sent, start, end):
    return start.replace(second=0, microsecond=0) <= sent <= end.replace(second=59, microsecond=999_999)


def a_little_later(sent, start, end):
    return start <= sent + timedelta(seconds=90) <= end


@pytest.mark.parametrize("make", [edna, gateway])
@pytest.mark.parametrize(
    ("selects", "count", "span"),
    [
        (whole_days, 36_000, timedelta(days=3)),
        (whole_days, 22_000, timedelta(hours=8)),
        (whole_minutes, 22_000, timedelta(minutes=2)),
        (a_little_later, 22_000, timedelta(minutes=2)),
        (a_little_later, 22_000, timedelta(seconds=10)),
    ],
)
def test_a_coarse_date_filter_costs_few_requests_and_repeats_nothing(make, selects, count, span):
    vendor = make(count, span, selects=selects)
    later = (END + timedelta(hours=1)).isoformat()
    _, records = read(vendor, end_date=later)
    assert_all_arrive_once(records, vendor.rows)
    pages = [request for request in vendor.requests if request.get("channel", "SMS") == "SMS"]
    assert len(pages) <= 4 * count / 1000


# A limit on rows per query is proved or excluded by the identity of rows.


def in_stable_order(make, count):
    """Return a vendor whose order has nothing to do with send time."""
    vendor = make(count)
    if make is edna:
        numbers = random.Random(1).sample(range(count), count)
        vendor.rows = [row | {"messageId": number} for row, number in zip(vendor.rows, numbers, strict=True)]
    else:
        random.Random(1).shuffle(vendor.rows)
    return vendor


@pytest.mark.parametrize("make", [edna, gateway])
@pytest.mark.parametrize("max_rows", [1_000, 4_000])
def test_a_limit_on_rows_is_found_in_any_order(make, max_rows):
    vendor = in_stable_order(make, 15_000)
    vendor.max_rows = max_rows
    output, records = read(vendor)
    assert_all_arrive_once(records, vendor.rows)
    assert all(confirmed(output))


@pytest.mark.parametrize("make", [edna, gateway])
def test_a_limit_is_found_despite_a_row_outside_the_range(make):
    """The vendor selects by a time that the messages do not show."""
    vendor = make(15_000, max_rows=4_000)
    sent_at = "sentOrReceivedAt" if make is edna else "sendDate"
    vendor.rows[95] = vendor.rows[95] | {sent_at: (END - timedelta(days=300)).isoformat()}
    vendor.selects = lambda sent, start, end: start <= max(sent, END - timedelta(days=59)) <= end
    output, records = read(vendor)
    assert_all_arrive_once(records, vendor.rows)
    assert all(confirmed(output))


@pytest.mark.parametrize("make", [edna, gateway])
@pytest.mark.parametrize("change", [{"messageId": None}, {"messageId": " "}])
def test_an_invalid_row_does_not_look_like_a_limit(make, change, caplog):
    vendor = make(9_500)
    vendor.rows[4_000] = vendor.rows[4_000] | change
    if make is edna:
        vendor.rows[4_000] = {**vendor.rows[4_000], "messageId": 4_001, "direction": None}
    output, _ = read(vendor)
    assert len(output.records("rejected_messages")) == 1
    assert "at most" not in caplog.text
    own = [request for request in vendor.requests if request.get("channel", "SMS") == "SMS"]
    assert len(own) <= 17


def cut(page, page_bytes):
    sizes = accumulate(len(json.dumps(row)) for row in page)
    return page[: max(sum(size <= page_bytes for size in sizes), 1)]


@pytest.mark.parametrize("announced", [None, False])
def test_large_rows_in_pages_cut_by_bytes_lose_nothing(announced):
    vendor = edna(40)
    vendor.rows = [row | {"comment": "x" * 160_000} for row in vendor.rows]
    vendor.answer = lambda page, _: {"content": cut(page, 300_000), "hasNext": announced}
    output, records = read(vendor)
    assert_all_arrive_once(records, vendor.rows)
    assert all(confirmed(output))


@pytest.mark.parametrize("newest_first", [True, False])
def test_one_row_as_large_as_a_page_hides_no_others(newest_first):
    vendor = gateway(6_000, page_bytes=300_000, newest_first=newest_first)
    vendor.rows[3_000] |= {"body": "x" * 300_000}
    output, records = read(vendor)
    assert_all_arrive_once(records, vendor.rows)
    assert all(confirmed(output))


@pytest.mark.parametrize("make", [edna, gateway])
@pytest.mark.parametrize("newest_first", [True, False])
def test_a_filter_by_days_repeats_and_rejects_nothing(make, newest_first):
    """Messages come in daily bursts, so a window that starts in a burst returns all of it."""
    bursts = [
        END.replace(hour=9) - timedelta(days=day) + timedelta(seconds=second * 0.6)
        for day in range(20, 0, -1)
        for second in range(1_006)
    ]
    make_row = edna_row if make is edna else gateway_row
    vendor = Vendor([make_row(*numbered) for numbered in enumerate(bursts, start=1)], selects=whole_days)
    vendor.newest_first = newest_first
    output, records = read(vendor)
    assert_all_arrive_once(records, vendor.rows)
    assert output.records("rejected_messages") == []
    ledger = [row["messages"] for row in output.records(LEDGER) if row["stream"] in (EDNA, SMS)]
    assert sum(ledger) == len(vendor.rows)


@pytest.mark.parametrize("make", [edna, gateway])
def test_a_filter_by_days_costs_few_requests_for_bursts(make):
    """Half an hour has several windows of messages, which no split separates."""
    vendor = make(36_000, timedelta(minutes=30), selects=whole_days)
    _, records = read(vendor, end_date=(END + timedelta(hours=1)).isoformat())
    assert_all_arrive_once(records, vendor.rows)
    own = [request for request in vendor.requests if request.get("channel", "SMS") == "SMS"]
    assert len(own) <= 4 * 36


def test_negative_identifiers_at_a_boundary_are_different():
    vendor = edna(12_000)
    boundary = vendor.rows[9_899]["sentOrReceivedAt"]
    for index, number in ((9_898, -1), (9_899, -2)):
        vendor.rows[index] = vendor.rows[index] | {"messageId": number, "sentOrReceivedAt": boundary}
    _, records = read(vendor)
    assert_all_arrive_once(records, vendor.rows)


@pytest.mark.parametrize(("count", "size"), [(40_000, 10_000), (15_000, 30_000)])
def test_memory_is_bounded_by_bytes_not_by_messages(count, size):
    vendor = edna(count)
    text = "x" * size
    for row in vendor.rows:
        row["content"] = text
    with vendor.serve():
        given = {"config": vendor.settings(), "catalog": selecting(EDNA)}
        finished = subprocess.run(
            [sys.executable, "-m", "tests.impatient"],
            input=json.dumps(given),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
            cwd=ROOT,
            check=True,
        )
    assert int(finished.stderr.split()[-1]) < 200_000
