"""`--reconcile`: the vendor's messages are counted exactly, with few requests; differences are reported."""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import threading
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from msghistory_sandbox.clock import Clock
from msghistory_sandbox.faults import Faults
from msghistory_sandbox.history import Message
from msghistory_sandbox.server import Sandbox
from tap_msghistory.config.account import Account
from tap_msghistory.config.settings import SETTINGS
from tap_msghistory.config.validation import with_defaults
from tap_msghistory.errors import ApiError, TapError
from tap_msghistory.reconciling.ranges import CountedRange, read_ranges
from tap_msghistory.reconciling.reconciliation import Reconciliation
from tap_msghistory.reconciling.report import reread_value
from tap_msghistory.reconciling.results import Result, Verdict
from tests.processes import error_lines, run_here, running
from tests.support import CHANNELS, END, END_MS, EXPORT, STREAMS, config, iso, replication_key, sync, truth
from tests.vendors import Vendor, edna_row, gateway_row, spread

EDNA, SMS = "edna_history", "partner_gateway_history_sms"
DAY, MILLISECOND = timedelta(days=1), timedelta(milliseconds=1)
MAKE = {EDNA: edna_row, SMS: gateway_row}
NEVER = 2**52
PAGE_ROWS = 100


@pytest.fixture(scope="module")
def filled():
    """Two realistic histories of 60 days, without rate limits. Tests restore what they change."""
    sandbox = Sandbox.generate(messages=3_600, seed=1, end_ms=END_MS, clock=Clock(END_MS, frozen=True))
    sandbox.gateway_options.requests_per_minute = sandbox.gateway_options.requests_per_second = None
    with sandbox.serve():
        yield sandbox


def settings_of(sandbox, **more):
    """Return settings without rate limits."""
    limits = {"partner_gateway_requests_per_second": 10_000, "partner_gateway_requests_per_minute": 10**6}
    return config(sandbox, **limits, **more)


def days(count, end=END):
    """Return the bounds of days, oldest first."""
    return [end - number * DAY for number in reversed(range(count + 1))]


def counted(stream, bounds, sent):
    """Return the ranges between bounds, as a warehouse with all messages counts them."""
    return [
        CountedRange(stream, start, end, sum(start < at <= end for at in sent))
        for start, end in pairwise(bounds)
    ]


def changed(ranges, changes):
    """Return the ranges with other numbers of messages in the warehouse; `changes` are by position."""
    return [
        CountedRange(range_.stream, range_.start, range_.end, range_.messages + changes.get(number, 0))
        for number, range_ in enumerate(ranges)
    ]


def check(config, ranges):
    """Check ranges in this process. Return the reconciliation, which has the results."""
    account = Account(with_defaults(config, SETTINGS), jitter=lambda _: 0.0)
    reconciliation = Reconciliation(account, ranges)
    reconciliation.run(lambda: None, seconds=30.0)
    return reconciliation


def serve(stream, sent, **behaviour):
    rows = [MAKE[stream](number, at) for number, at in enumerate(sorted(sent), start=1)]
    return Vendor(rows, **behaviour)


def check_vendor(vendor, ranges, **more):
    with vendor.serve():
        vendors = vendor.settings if ranges[0].stream == EDNA else vendor.gateway_settings
        return check(vendors(**more), ranges)


def differences(reconciliation):
    """Return the differences by position; None for a range that is not checkable."""
    return {
        number: result.difference
        for number, result in enumerate(reconciliation.results)
        if result.verdict is not Verdict.OK
    }


def offsets(vendor):
    return [
        query["offset"] if "offset" in query else int(query["page"]) * int(query["limit"])
        for query in vendor.requests
    ]


def in_warehouse(sandbox, bounds, streams=STREAMS):
    """Return the ranges of all streams, as a warehouse with all messages counts them."""
    found = []
    for stream in streams:
        sent = [record[replication_key(stream)] for record in truth(sandbox, stream)]
        found += [
            CountedRange(stream, start, end, sum(iso(start) < at <= iso(end) for at in sent))
            for start, end in pairwise(bounds)
        ]
    return found


# Counting


@pytest.mark.parametrize("stream", [EDNA, SMS])
@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("changes", [{}, {3: -1, 7: -90, 8: 1, 12: 5_000, 29: 40}], ids=["equal", "unequal"])
def test_differences_are_exact_in_either_order(stream, newest_first, changes):
    sent = spread(3_000, 30 * DAY)
    ranges = changed(counted(stream, days(30), sent), changes)
    assert differences(check_vendor(serve(stream, sent, newest_first=newest_first), ranges)) == changes


def test_equal_ranges_take_hardly_more_than_one_request_each(filled):
    ranges = in_warehouse(filled, days(60))
    checked = check(settings_of(filled), ranges)
    assert differences(checked) == {}
    assert checked.requests <= len(ranges) * 1.05


def test_oldest_first_takes_two_requests_per_range():
    sent = spread(3_000, 30 * DAY)
    vendor = serve(SMS, sent, newest_first=False)
    assert check_vendor(vendor, counted(SMS, days(30), sent)).requests <= 2 * 30 + 2


@pytest.mark.parametrize("change", [-1, 1, -40])
def test_a_few_differing_messages_take_at_most_eight_more_requests(filled, change):
    ranges = in_warehouse(filled, days(60))
    largest = max(range(len(ranges)), key=lambda number: ranges[number].messages)
    equal = check(settings_of(filled), ranges).requests
    checked = check(settings_of(filled), changed(ranges, {largest: change}))
    assert differences(checked) == {largest: change}
    assert checked.requests <= equal + 8


@pytest.mark.parametrize("change", [0, -1, 1, 20_000, -20_000])
def test_large_ranges_are_counted_with_one_request_per_10_000_messages(change):
    count = 35_000
    sent = spread(count, 30 * DAY)
    vendor = serve(SMS, sent)
    ranges = changed([CountedRange(SMS, END - 31 * DAY, END, count)], {0: change})
    checked = check_vendor(vendor, ranges)
    assert differences(checked) == ({0: change} if change else {})
    assert checked.requests <= count / 10_000 + {0: 2, 1: 10}.get(abs(change), 40)
    assert max(offsets(vendor)) <= 10_000 + PAGE_ROWS


def test_a_burst_within_a_millisecond_is_counted():
    sent = [*spread(200, 2 * DAY), *[END - DAY] * 10_500, *spread(200, DAY)]
    assert differences(check_vendor(serve(SMS, sent), counted(SMS, days(3), sent))) == {}


@pytest.mark.parametrize("stream", [EDNA, SMS])
@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("cap", [60, 100, 500])
def test_a_limit_on_the_rows_of_a_query_is_no_difference(stream, newest_first, cap):
    sent = spread(1_000, 5 * DAY)
    vendor = serve(stream, sent, newest_first=newest_first, max_rows=cap)
    ranges = changed(counted(stream, days(5), sent), {1: -2, 3: 2})
    assert differences(check_vendor(vendor, ranges)) == {1: -2, 3: 2}


def test_a_limit_found_during_a_check_applies_to_all_ranges():
    """The largest range in the warehouse is small at the vendor, so several ranges find the limit at once."""
    bounds = days(9)
    sent = [bounds[0] + DAY * (number + 1) / 21 for number in range(20)]
    for start in bounds[1:-1]:
        sent += [start + DAY * (number + 1) / 301 for number in range(300)]
    at_vendor = counted(SMS, bounds, sent)
    ranges = changed(at_vendor, dict.fromkeys(range(1, 9), -295))
    checked = check_vendor(serve(SMS, sent, max_rows=120), ranges, concurrency=8)
    assert differences(checked) == dict.fromkeys(range(1, 9), -295)


@pytest.mark.parametrize("seed", [2, 3, 4])
def test_messages_that_are_not_in_send_order_end_the_check(seed):
    """The server lists messages by another time, which differs from the send time by under a second."""
    random = Random(seed)
    bounds = days(5)
    created = [*spread(100, 5 * DAY)]
    created += [
        bounds[3] - timedelta(seconds=2.95) + number * timedelta(milliseconds=20) for number in range(100)
    ]
    sent = [at + timedelta(milliseconds=random.randrange(900)) for at in sorted(created)]
    rows = [gateway_row(number, at) for number, at in enumerate(sent, start=1)]
    checked = check_vendor(Vendor(rows), counted(SMS, bounds, sent))
    assert checked.requests < 200
    assert {result.verdict for result in checked.results} <= {Verdict.OK, Verdict.NOT_CHECKABLE}


def test_a_limit_that_equals_the_number_of_messages_is_noticed():
    sent = spread(200, DAY)
    ranges = [CountedRange(SMS, END - DAY, END, 150)]
    assert differences(check_vendor(serve(SMS, sent, max_rows=150), ranges)) == {0: -50}


def test_more_simultaneous_messages_than_a_query_returns_are_not_checkable():
    sent = [*spread(300, DAY), *[END - DAY / 2] * 150]
    vendor = serve(SMS, sent, max_rows=120)
    ranges = [CountedRange(SMS, END - DAY, END, 449)]
    (result,) = check_vendor(vendor, ranges).results
    assert result.verdict is Verdict.NOT_CHECKABLE
    assert "only 120 messages per query" in result.reason


SELECTIONS = {
    "whole days": lambda sent, start, end: start.date() <= sent.date() <= end.date(),
    "exclusive": lambda sent, start, end: start < sent < end,
    "creation": lambda sent, start, end: start <= sent - timedelta(milliseconds=900) <= end,
}


@pytest.mark.parametrize("stream", [EDNA, SMS])
@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("name", SELECTIONS)
def test_a_vendor_may_select_by_another_time(stream, newest_first, name):
    sent = [*spread(500, 5 * DAY), *days(5), END - DAY + timedelta(milliseconds=300)]
    vendor = serve(stream, sent, newest_first=newest_first, selects=SELECTIONS[name])
    ranges = changed(counted(stream, days(4, END - DAY), sent), {1: -1, 2: 1})
    assert differences(check_vendor(vendor, ranges)) == {1: -1, 2: 1}


def test_truncated_send_times_are_counted_as_the_warehouse_has_them(sandbox):
    """A message sent 300 ms after a bound has the time of the bound."""
    sandbox.gateway_options.whole_seconds = True
    sent_ms = [END_MS - hour * 3_600_000 + 300 for hour in range(1, 100)]
    sandbox.gateway["SMS"].add(*(Message(id=str(ms), sent_ms=ms, channel="SMS") for ms in sent_ms))
    sent = [END - hour * DAY / 24 for hour in range(1, 100)]
    assert differences(check(settings_of(sandbox), counted(SMS, days(4), sent))) == {}


@pytest.mark.parametrize("page_cap", [20, 60])
@pytest.mark.parametrize("skip_by_cap", [True, False])
def test_capped_pages_are_no_difference(page_cap, skip_by_cap):
    sent = spread(1_000, 5 * DAY)
    vendor = serve(SMS, sent, page_cap=lambda _: page_cap, skip_by_cap=skip_by_cap)
    ranges = changed(counted(SMS, days(5), sent), {0: -70, 4: 5})
    assert differences(check_vendor(vendor, ranges)) == {0: -70, 4: 5}


def test_pages_cut_by_bytes_are_no_difference():
    large = {"body": "x" * 40_000}
    rows = [gateway_row(number, at, **large) for number, at in enumerate(spread(120, DAY), start=1)]
    ranges = [CountedRange(SMS, END - DAY, END, 119)]
    assert differences(check_vendor(Vendor(rows, page_bytes=50_000), ranges)) == {0: -1}


MOMENTS = st.integers(0, 40)


@settings(max_examples=60)
@given(
    stream=st.sampled_from([EDNA, SMS]),
    newest_first=st.booleans(),
    cap=st.sampled_from([None, 100]),
    messages=st.lists(
        st.tuples(MOMENTS, st.sampled_from(["both", "warehouse", "vendor"]), st.integers(1, 3)), max_size=120
    ),
    bounds=st.sets(st.integers(-1, 40), min_size=2, max_size=6),
)
def test_exactly_the_ranges_that_differ_are_reported(stream, newest_first, cap, messages, bounds):
    """Messages that share milliseconds, also with a bound, are deleted on either side."""

    def sent(side):
        return [
            END - number * MILLISECOND
            for number, where, copies in messages
            for _ in range(copies)
            if where in ("both", side)
        ]

    largest = max(Counter(sent("vendor")).values(), default=0)
    vendor = serve(stream, sent("vendor"), newest_first=newest_first, max_rows=cap and max(cap, 3 * largest))
    moments = [END - number * MILLISECOND for number in sorted(bounds, reverse=True)]
    ranges = counted(stream, moments, sent("warehouse"))
    vendors = counted(stream, moments, sent("vendor"))
    checked = check_vendor(vendor, ranges)
    assert [result.vendor for result in checked.results] == [range_.messages for range_ in vendors]


# Faults


def test_faults_of_many_kinds_change_no_result(sandbox, filled):
    sandbox.edna.add(*list(filled.edna)[::4])
    for channel in CHANNELS:
        sandbox.gateway[channel].add(*list(filled.gateway[channel])[::4])
    ranges = in_warehouse(sandbox, days(30))
    expected = {5: -1, 40: 2}
    sandbox.faults = Faults(
        error_rate=0.1, drop_rate=0.1, truncate_rate=0.1, html_rate=0.1, malformed_rate=0.1,
        limit_next=3, limit_wait_s=0.01, seed=5,
    )  # fmt: skip
    assert differences(check(settings_of(sandbox), changed(ranges, expected))) == expected


def test_a_refused_range_is_not_checkable_and_others_are_checked():
    sent = spread(400, 4 * DAY)
    refuse = END - 3 * DAY
    vendor = serve(EDNA, sent, status=lambda start, _end: 400 if start < refuse - DAY / 2 else 200)
    checked = check_vendor(vendor, changed(counted(EDNA, days(4), sent), {2: -1}))
    assert differences(checked) == {0: None, 2: -1}
    assert "retention period (status 400)" in checked.results[0].reason


def test_a_failing_server_is_not_asked_for_every_range():
    sent = spread(400, 40 * DAY)
    vendor = serve(EDNA, sent, status=lambda _start, _end: 500)
    checked = check_vendor(vendor, counted(EDNA, days(40), sent), max_retry_seconds=0, concurrency=1)
    assert {result.verdict for result in checked.results} == {Verdict.NOT_CHECKABLE}
    assert checked.results[-1].reason.startswith("not checked")
    assert len(vendor.requests) < 10


def test_a_wrong_key_ends_the_check_after_one_request(sandbox):
    ranges = counted(SMS, days(10), [])
    with pytest.raises(ApiError, match="check partner_gateway_api_key"):
        check(settings_of(sandbox, partner_gateway_api_key="wrong"), ranges)
    assert len(sandbox.requests) == 1


def test_a_key_that_expires_ends_the_check():
    sent = spread(400, 4 * DAY)
    vendor = serve(EDNA, sent, status=lambda start, _end: 401 if start > END - 2 * DAY - DAY / 2 else 200)
    with pytest.raises(ApiError, match="check edna_api_key"):
        check_vendor(vendor, changed(counted(EDNA, days(4), sent), {0: 1}))


def test_a_difference_at_the_retention_limit_is_reported():
    sent = spread(400, 4 * DAY)
    limit = END - 4 * DAY - MILLISECOND
    vendor = serve(SMS, sent, status=lambda start, _end: 400 if start < limit else 200)
    assert differences(check_vendor(vendor, changed(counted(SMS, days(4), sent), {0: -1}))) == {0: -1}


def test_rows_that_keep_moving_are_not_checkable():
    sent = spread(100, DAY)
    vendor = serve(SMS, sent)
    vendor.before_request = lambda number: vendor.rows.reverse() if number else None
    (result,) = check_vendor(vendor, [CountedRange(SMS, END - DAY, END, 90)]).results
    assert "moved while they were counted" in result.reason


def test_invalid_messages_count_at_the_vendor(sandbox):
    fields = [{}, {"messageId": msgspec.UNSET}, {"messageId": msgspec.UNSET, "direction": msgspec.UNSET}]
    sandbox.edna.add(
        *(
            Message(id=number, sent_ms=END_MS - number, channel="SMS", fields=value)
            for number, value in enumerate(fields)
        )
    )
    ranges = [CountedRange(EDNA, END - DAY, END, 1)]
    assert differences(check(settings_of(sandbox), ranges)) == {0: -2}


# Ranges that cannot be checked


@pytest.mark.parametrize(
    ("stream", "more", "reason"),
    [
        (EXPORT, {"partner_gateway_export": True}, "an export cannot be counted"),
        (EXPORT, {}, "do not enable it"),
        ("edna_histroy", {}, "unknown"),
        (SMS, {"partner_gateway_api_key": None}, "do not enable it"),
    ],
)
def test_other_streams_are_not_checkable(sandbox, stream, more, reason):
    (result,) = check(settings_of(sandbox, **more), counted(stream, days(1), [])).results
    assert result.verdict is Verdict.NOT_CHECKABLE
    assert reason in result.reason
    assert sandbox.requests == []


@pytest.mark.parametrize(("account", "found"), [(None, None), ("retail", None), ("wholesale", 0)])
def test_only_ranges_of_the_configured_account_are_checked(sandbox, account, found):
    ranges = [CountedRange(EDNA, END - DAY, END, 0, "wholesale")]
    (result,) = check(settings_of(sandbox, account=account), ranges).results
    assert result.vendor == found


def test_a_range_that_has_not_ended_is_not_checkable(sandbox):
    future = END.replace(year=9000)
    (result,) = check(settings_of(sandbox), [CountedRange(EDNA, END, future, 0)]).results
    assert "visibility_lag" in result.reason
    assert sandbox.requests == []


# The file


CSV = """stream,from,to,messages,more
edna_history,2024-10-01,2024-10-02T00:00:00Z,7,x

edna_history,2024-10-02 00:00:00,2024-10-03 00:00:00+00:00,0,
"""
JSON = """{"stream": "edna_history", "from": "2024-10-01", "to": "2024-10-02", "messages": 7}
{"STREAM": "edna_history", "FROM": "2024-10-02", "TO": "2024-10-03", "MESSAGES": "0", "account": null}
"""


@pytest.mark.parametrize("text", [CSV, JSON], ids=["CSV", "JSON"])
def test_csv_and_json_lines_are_the_same_ranges(text):
    first, second = read_ranges(io.StringIO(text))
    assert (first.stream, iso(first.start), iso(first.end)) == (
        EDNA, "2024-10-01T00:00:00.000Z", "2024-10-02T00:00:00.000Z",
    )  # fmt: skip
    assert (second.start, second.messages, second.account) == (first.end, 0, None)


HEADER = "stream,from,to,messages\n"
LINE = "edna_history,2024-10-01,2024-10-02,7\n"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        (HEADER, "has no ranges"),
        ("stream;from;to;messages\nSECRET;2024-10-01;2024-10-02;7\n", "Line 2 .* must have stream, from, to"),
        (HEADER + LINE + "edna_history,SECRET,2024-10-02,7\n", "Line 3 .* ISO 8601"),
        (HEADER + "edna_history,2024-10-02,2024-10-02,7\n", "Line 2 .* from must be before to"),
        (HEADER + "edna_history,2024-10-01,2024-10-02,SECRET\n", "Line 2 .* whole number"),
        (HEADER + f"edna_history,2024-10-01,2024-10-02,{'9' * 5000}\n", "Line 2 .* whole number"),
        (HEADER + "edna_history,2024-10-01,2024-10-02,-1\n", "Line 2 .* whole number"),
        (HEADER + "edna_history,2024-10-01\n", "Line 2 .* must have"),
        (HEADER + 'edna_history,"2024-10-01"SECRET,2024-10-02,7\n', "Line 2 .* is not CSV"),
        (JSON + "SECRET\n", "Line 3 .* is not a JSON object"),
        (JSON + "[1]\n", "Line 3 .* is not a JSON object"),
        ('{"stream": "SECRET"}\n', "Line 1 .* must have"),
    ],
)
def test_an_invalid_file_is_an_error_with_the_line(text, error):
    with pytest.raises(TapError, match=error) as raised:
        read_ranges(io.StringIO(text))
    assert "SECRET" not in str(raised.value)


# The command


def as_csv(ranges):
    lines = [f"{r.stream},{iso(r.start)},{iso(r.end)},{r.messages}\n" for r in ranges]
    return "".join([HEADER, *lines])


def run(sandbox, tmp_path, ranges, *more, **settings):
    file = tmp_path / "ranges.csv"
    file.write_text(ranges if isinstance(ranges, str) else as_csv(ranges))
    return run_here(settings_of(sandbox, **settings), tmp_path, more=("--reconcile", str(file), *more))


def test_equal_ranges_exit_with_0(filled, tmp_path):
    finished = run(filled, tmp_path, in_warehouse(filled, days(5)))
    assert finished.returncode == 0
    assert finished.stdout.startswith("20 ranges: 20 ok, 0 with 0 messages missing")
    assert error_lines(finished.stderr) == []


def test_differences_exit_with_3_and_are_listed(filled, tmp_path):
    ranges = changed(in_warehouse(filled, days(5), [EDNA]), {1: -1, 2: -2, 4: 3})
    finished = run(filled, tmp_path, ranges)
    assert finished.returncode == 3
    table, totals, reread = finished.stdout.split("\n\n")
    header, *rows = table.splitlines()
    assert header.split() == [
        "stream",
        "from",
        "to",
        "warehouse",
        "vendor",
        "difference",
        "verdict",
        "reason",
    ]
    assert [row.split()[5:] for row in rows] == [
        ["-1", "missing", "in", "warehouse"],
        ["-2", "missing", "in", "warehouse"],
        ["3", "gone", "at", "vendor"],
    ]
    assert "2 ok, 2 with 3 messages missing in the warehouse, 1 with 3 messages gone" in totals
    assert reread.splitlines()[-1] == f"{EDNA}={iso(ranges[1].start)}/{iso(ranges[2].end)}"


def test_only_uncheckable_ranges_exit_with_1(filled, tmp_path):
    ranges = [*in_warehouse(filled, days(2), [EDNA]), CountedRange("unknown", END - DAY, END, 7)]
    finished = run(filled, tmp_path, ranges)
    assert finished.returncode == 1
    assert "not checkable  the stream is unknown" in finished.stdout
    different = run(filled, tmp_path, changed(ranges, {0: 1}))
    assert different.returncode == 3


def test_json_has_all_ranges_and_the_value_of_reread(filled, tmp_path):
    ranges = changed(in_warehouse(filled, days(3), [EDNA]), {1: -1})
    finished = run(filled, tmp_path, ranges, "--reconcile-format", "json")
    report = json.loads(finished.stdout)
    assert [row["verdict"] for row in report["ranges"]] == ["ok", "missing in warehouse", "ok"]
    assert report["ranges"][1]["difference"] == -1
    assert report["reread"] == f"{EDNA}={iso(ranges[1].start)}/{iso(ranges[1].end)}"
    assert report["requests"] > 3


def test_csv_has_all_ranges(filled, tmp_path):
    ranges = changed(in_warehouse(filled, days(3), [EDNA]), {1: 1})
    finished = run(filled, tmp_path, ranges, "--reconcile-format", "csv")
    rows = [*csv.DictReader(io.StringIO(finished.stdout))]
    assert [(row["from"], int(row["warehouse"]), row["verdict"]) for row in rows] == [
        (iso(range_.start), range_.messages, verdict)
        for range_, verdict in zip(ranges, ["ok", "gone at vendor", "ok"], strict=True)
    ]


def test_earlier_ranges_are_skipped(filled, tmp_path):
    ranges = changed(in_warehouse(filled, days(5), [EDNA]), {0: -1})
    finished = run(filled, tmp_path, ranges, "--reconcile-from", iso(ranges[0].end))
    assert finished.returncode == 0
    assert finished.stdout.startswith("4 ranges: 4 ok")


@pytest.mark.parametrize(("moment", "error"), [("soon", "must be an ISO 8601"), (iso(END), "No range")])
def test_an_impossible_start_is_an_error(filled, tmp_path, moment, error):
    finished = run(filled, tmp_path, in_warehouse(filled, days(2), [EDNA]), "--reconcile-from", moment)
    assert finished.returncode == 1
    assert error in error_lines(finished.stderr)[-1]


def test_an_invalid_line_is_reported_without_a_traceback(filled, tmp_path):
    finished = run(filled, tmp_path, HEADER + "edna_history,1,2,3\n")
    assert finished.returncode == 1
    (line,) = error_lines(finished.stderr)
    assert "Line 2 of the file given with --reconcile: from and to must be ISO 8601" in line


def test_what_was_checked_before_a_failure_is_printed(sandbox, tmp_path):
    ranges = [*counted("unknown", days(1), []), *counted(EDNA, days(1), [])]
    finished = run(sandbox, tmp_path, changed(ranges, {0: 1}), edna_api_key="wrong")
    assert finished.returncode == 1
    assert "not checkable" in finished.stdout
    assert "check edna_api_key" in error_lines(finished.stderr)[-1]
    assert f"all up to {iso(END - DAY)} are checked" in finished.stderr


def test_progress_says_from_where_a_check_resumes(sandbox):
    reconciliation = Reconciliation(
        Account(with_defaults(config(sandbox), SETTINGS)), counted(EDNA, days(3), [])
    )
    assert reconciliation.describe() == (
        f"0 of 3 ranges checked, 0 differ, 0 requests; all up to {iso(END - 3 * DAY)} are checked"
    )
    reconciliation.run(lambda: None, seconds=30.0)
    assert reconciliation.describe().startswith("3 of 3 ranges checked, 0 differ")
    assert "up to" not in reconciliation.describe()


def test_progress_is_reported_during_a_check(sandbox):
    sandbox.faults = Faults(latency_ms=100)
    reports = []
    account = Account(with_defaults(settings_of(sandbox), SETTINGS))
    reconciliation = Reconciliation(account, counted(EDNA, days(9), []))
    reconciliation.run(lambda: reports.append(reconciliation.describe()), seconds=0.01)
    assert " of 9 ranges checked" in reports[0]


def test_an_interrupted_check_prints_its_results(sandbox, tmp_path):
    sandbox.faults = Faults(latency_ms=50)
    file = tmp_path / "ranges.csv"
    file.write_text(as_csv(changed(counted(EDNA, days(500), []), dict.fromkeys(range(500), 7))))
    has_results = threading.Event()
    sandbox.journal.watch = lambda _: has_results.set() if len(sandbox.requests) > 60 else None
    settings = settings_of(sandbox, start_date="2020-01-01")
    with running(settings, tmp_path, more=("--reconcile", str(file))) as process:
        assert has_results.wait(60)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert 0 < stdout.count(b"gone at vendor") < 500
    (resume_at,) = re.findall(r"all up to (\S+) are checked", stderr.decode().splitlines()[-2])
    assert iso(END - 500 * DAY) < resume_at < iso(END)
    assert "Stopped by SIGTERM" in stderr.decode().splitlines()[-1]


# The repair


def test_missing_ranges_of_a_stream_are_joined():
    ranges = [*counted(EDNA, days(5), []), *counted(SMS, days(5), [])]
    missing = {0, 1, 3, 5, 9}
    results = [Result(range_, int(number in missing)) for number, range_ in enumerate(ranges)]
    bounds = [(EDNA, 0, 2), (EDNA, 3, 4), (SMS, 0, 1), (SMS, 4, 5)]
    assert reread_value(results) == ",".join(
        f"{stream}={iso(days(5)[start])}/{iso(days(5)[end])}" for stream, start, end in bounds
    )


def test_the_printed_value_reads_what_is_missing(filled):
    ranges = in_warehouse(filled, days(40), [EDNA])
    lost = {number for number, range_ in enumerate(ranges) if range_.messages and number % 7 == 0}
    checked = check(settings_of(filled), changed(ranges, dict.fromkeys(lost, -1)))
    output = sync(config(filled, reread=reread_value(checked.results)))
    sent = [record["sentOrReceivedAt"] for record in output.records(EDNA)]
    for number in lost:
        start, end = iso(ranges[number].start), iso(ranges[number].end)
        assert sum(start < at <= end for at in sent) == ranges[number].messages


def test_messages_hidden_or_late_at_the_vendor_are_found(sandbox, filled):
    messages = list(filled.edna)[::4]
    sandbox.edna.add(*messages)
    ranges = in_warehouse(sandbox, days(60), [EDNA])
    gone, late = messages[100], messages[-100]
    sandbox.edna.replace(msgspec.structs.replace(gone, visible_ms=NEVER))
    sandbox.edna.add(msgspec.structs.replace(late, id=7))
    expected = {
        number: difference
        for message, difference in ((gone, 1), (late, -1))
        for number, range_ in enumerate(ranges)
        if range_.start.timestamp() < message.sent_ms / 1000 <= range_.end.timestamp()
    }
    assert len(expected) == 2
    assert differences(check(settings_of(sandbox), ranges)) == expected


def test_a_check_is_not_skipped_silently(filled, tmp_path):
    file = tmp_path / "ranges.csv"
    file.write_text("stream,from,to,messages\n")
    finished = run_here(settings_of(filled), tmp_path, more=("--plan", "--reconcile", str(file)))
    assert finished.returncode == 2
    assert "cannot be combined" in finished.stderr
