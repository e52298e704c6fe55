"""Servers that misbehave: no message is lost or repeated, and no run hangs."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from msghistory_sandbox.faults import Faults
from msghistory_sandbox.history import Message
from tap_msghistory.errors import TapError
from tap_msghistory.http.rate_limiter import RateLimiter
from tap_msghistory.http.retries import (
    MAX_ATTEMPTS,
    Fail,
    Retry,
    backoff_delay,
    classify_response,
    http_date,
    remaining_requests,
    retry_after_seconds,
    was_suspended,
    within_retry_budget,
)
from tap_msghistory.vendors.edna import EDNA as EDNA_VENDOR
from tests.support import END_MS, STREAMS, config, in_send_order, response, sync, truth

EDNA, SMS = "edna_history", "partner_gateway_history_sms"
NOW = datetime(2024, 11, 3, 12, tzinfo=timezone.utc)


@pytest.fixture
def filled(sandbox, life_like):
    """A few thousand messages of each vendor, enough for several pages and windows."""
    sandbox.edna.add(*list(life_like.edna)[::3])
    for channel, history in life_like.gateway.items():
        sandbox.gateway[channel].add(*list(history)[::3])
    return sandbox


def assert_all_arrive_once(sandbox, output):
    for stream in STREAMS:
        assert output.records(stream) == in_send_order(stream, truth(sandbox, stream))


@pytest.mark.parametrize("seed", range(3))
def test_faults_of_many_kinds_lose_and_repeat_nothing(filled, seed):
    filled.faults = Faults(
        error_rate=0.05,
        drop_rate=0.08,
        truncate_rate=0.03,
        html_rate=0.03,
        malformed_rate=0.03,
        fail_next=3,
        seed=seed,
    )
    assert_all_arrive_once(filled, sync(config(filled, page_size=100)))
    statuses = Counter(request.status for request in filled.journal.requests)
    assert statuses[500] >= 3
    assert statuses[None] >= 1, "no connection was reset, so the test is void"


@pytest.mark.parametrize("skip", ["asked", "capped"])
@pytest.mark.parametrize("cap", [100, 999])
def test_a_silently_capped_page_truncates_nothing(filled, cap, skip):
    filled.faults.page_cap = cap
    filled.faults.page_cap_skip = skip
    assert_all_arrive_once(filled, sync(config(filled)))
    messages = len(filled.edna) + sum(map(len, filled.gateway.values()))
    assert len(filled.journal.requests) <= 1.3 * messages / cap + 20


@pytest.mark.parametrize(("endless", "reason"), [("repeat", "repeatedly returns"), ("empty", "empty page")])
def test_an_endless_edna_history_fails_after_few_requests(filled, endless, reason):
    filled.faults.endless = endless
    with pytest.raises(TapError, match=reason):
        sync(config(filled, partner_gateway_api_key=None))
    assert len(filled.journal.requests) < 60


def test_an_endlessly_repeated_gateway_page_fails_after_few_requests(filled):
    filled.faults.endless = "repeat"
    with pytest.raises(TapError, match="repeatedly returns"):
        sync({**config(filled), "edna_api_key": None})
    assert len(filled.journal.requests) < 250


def test_windows_of_exactly_one_full_page_are_complete(sandbox):
    for count in (0, 1, 50, 100, 200):
        missing = range(len(sandbox.gateway["SMS"]), count)
        sandbox.gateway["SMS"].add(
            *(Message(id=str(number), sent_ms=END_MS - number, channel="SMS") for number in missing)
        )
        assert len(sync(config(sandbox, page_size=50)).records(SMS)) == count


@pytest.mark.parametrize("where", ["seconds", "date", "body", "none"])
def test_a_429_delays_the_run_but_loses_nothing(filled, where):
    filled.faults = Faults(limit_next=3, limit_wait_s=0.1, retry_after=where)
    assert_all_arrive_once(filled, sync(config(filled)))


def test_no_request_precedes_the_time_that_a_429_requests(filled):
    filled.faults = Faults(limit_next=1, limit_wait_s=1.0, retry_after="seconds")
    sync(config(filled, concurrency=8, page_size=100))
    limited, following = list(filled.journal.requests)[:2]
    assert limited.status == 429
    assert following.at - limited.at >= 1.0


def test_a_wait_beyond_the_budget_fails_and_keeps_the_state(filled):
    received = []

    def limit_later_requests(request):
        received.append(request)
        if request.api == "gateway":
            filled.faults.limit_next = 1_000_000

    filled.faults.limit_wait_s = 3600.0
    filled.journal.watch = limit_later_requests
    output, error = _failing_sync(config(filled))
    assert "max_retry_seconds" in str(error)
    assert [request.api for request in received].count("gateway") <= 4
    assert output.records(EDNA) == in_send_order(EDNA, truth(filled, EDNA))
    assert "replication_key_value" in output.bookmark(EDNA)


def test_a_configured_rate_limit_is_respected(filled):
    filled.gateway_options.requests_per_second = 40
    limits = {"partner_gateway_requests_per_second": 40, "edna_api_key": None}
    sync(config(filled, page_size=100, concurrency=8, **limits))
    statuses = Counter(request.status for request in filled.journal.requests)
    assert statuses[429] <= max(1, 0.02 * statuses[200])


def test_an_undeclared_rate_limit_triggers_backoff(filled):
    filled.edna_options.requests_per_second = 20
    filled.faults.retry_after = "seconds"
    output = sync(
        config(
            filled,
            page_size=100,
            concurrency=8,
            partner_gateway_api_key=None,
        )
    )
    statuses = Counter(request.status for request in filled.journal.requests)
    assert statuses[429] <= 0.2 * statuses[200]
    assert output.records(EDNA) == in_send_order(EDNA, truth(filled, EDNA))


@pytest.mark.parametrize(
    ("faults", "status", "reason"),
    [
        ({"force_status": 401}, 401, "edna_api_key"),
        ({"force_status": 403}, 403, "edna_api_key"),
        ({"redirect_to": "http://127.0.0.1:9"}, 307, "redirect"),
    ],
)
def test_permanent_errors_are_not_retried(filled, faults, status, reason):
    for name, value in faults.items():
        setattr(filled.faults, name, value)
    with pytest.raises(TapError, match=reason):
        sync(config(filled, concurrency=8))
    assert [request.status for request in filled.journal.requests].count(status) == (
        2 if status != 307 else 4
    )


@pytest.mark.parametrize("change", ["insert", "late insert", "status"])
def test_changes_during_a_run_lose_no_message(filled, change):
    before = {stream: truth(filled, stream) for stream in STREAMS}
    numbers = iter(range(1, 10_000))

    def change_something(_request):
        number = next(numbers)
        if change == "status":
            message = list(filled.edna)[number]
            filled.edna.set_status(message.id, "READ", END_MS - 1)
            message = list(filled.gateway["SMS"])[number]
            filled.gateway["SMS"].set_status(message.id, "EXPIRED", END_MS - 1)
        else:
            sent_ms = END_MS - (number if change == "insert" else 86_400_000 * 30 + number)
            filled.edna.add(Message(id=10**9 + number, sent_ms=sent_ms, channel="SMS"))
            filled.gateway["SMS"].add(Message(id=f"new {number}", sent_ms=sent_ms, channel="SMS"))

    filled.journal.watch = change_something
    output = sync(config(filled, page_size=200))
    for stream in STREAMS:
        arrived = Counter(record["messageId"] for record in output.records(stream))
        assert max(arrived.values()) == 1
        assert arrived.keys() >= {record["messageId"] for record in before[stream]}


def _failing_sync(settings):
    error = None

    def catch(failure):
        nonlocal error
        error = failure

    output = sync(settings, catch=catch)
    return output, error


# Retry decisions and rate limits, without a server or a clock.


def response_with(status=429, body=b"", **headers):
    return response(body, {name.replace("_", "-"): value for name, value in headers.items()}, status)


@given(st.integers(1, 10**6))
def test_every_format_of_a_requested_wait_is_understood(seconds):
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    body = json.dumps({"status": 429, "retryAfter": seconds}).encode()
    assert retry_after_seconds(response_with(Retry_After=str(seconds)), NOW) == seconds
    assert retry_after_seconds(response_with(Retry_After=date), NOW) == seconds
    assert retry_after_seconds(response_with(body=body), NOW) == seconds
    assert retry_after_seconds(response_with(body=body, Retry_After="1"), NOW) == seconds
    outcome = classify_response(response_with(503, Retry_After=date), (), NOW)
    assert outcome == Retry("status 503", seconds)


def test_a_requested_wait_is_right_despite_a_wrong_server_clock():
    wrong = NOW - timedelta(hours=1)
    date = format_datetime(wrong + timedelta(seconds=7), usegmt=True)
    assert (
        retry_after_seconds(response_with(Retry_After=date, Date=format_datetime(wrong, usegmt=True)), NOW)
        == 7
    )


@pytest.mark.parametrize("zone", ["+0200", "-0000", ""])
def test_an_http_date_means_the_same_on_every_machine(monkeypatch, zone):
    date = f"Sun, 03 Nov 2024 {14 if zone == '+0200' else 12}:00:07 {zone}"
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    try:
        time.tzset()
        moment = http_date(date)
        assert moment == NOW + timedelta(seconds=7)
        assert moment.tzinfo is timezone.utc
        assert retry_after_seconds(response_with(Retry_After=date), NOW) == 7
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("seconds", [-5, "-inf", "inf", "nan", None, "soon"])
def test_a_wait_that_is_past_or_infinite_is_ignored(seconds):
    past = format_datetime(NOW - timedelta(seconds=5), usegmt=True)
    body = json.dumps({"retryAfter": seconds}).encode()
    assert retry_after_seconds(response_with(body=body, Retry_After=past), NOW) == 0


@given(st.text(), st.binary())
def test_an_unreadable_wait_is_finite_and_not_negative(header, body):
    assert 0 <= retry_after_seconds(response_with(body=body, Retry_After=header), NOW) < float("inf")


@given(st.integers(1, MAX_ATTEMPTS), st.floats(0, 10**6))
def test_a_wait_is_never_shorter_than_requested(attempts, not_before):
    assert backoff_delay(attempts, not_before) >= not_before


def test_backoff_doubles_up_to_a_minute():
    longest = [backoff_delay(attempts, 0.0, jitter=float) for attempts in range(1, 10)]
    assert longest == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_requested_wait_is_extended_by_at_most_a_second():
    assert backoff_delay(9, 5.0, jitter=float) == 6.0


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_temporary_failures_are_retried(status):
    assert isinstance(classify_response(response_with(status), EDNA_VENDOR.error_rules, NOW), Retry)


@given(st.integers(201, 499).filter(lambda status: status not in (408, 429)), st.binary())
@example(299, b"")
@example(300, b"")
@example(399, b"")
@example(400, b"")
def test_other_failures_are_final_and_do_not_quote_the_body(status, body):
    outcome = classify_response(response_with(status, b"CANARY" + body), EDNA_VENDOR.error_rules, NOW)
    assert isinstance(outcome, Fail)
    assert outcome.status == status
    assert outcome.reason.startswith(f"status {status}")
    assert ("redirects are not followed" in outcome.reason) == (300 <= status < 400)
    assert "CANARY" not in outcome.reason


def test_an_error_names_the_vendors_code_and_the_setting():
    outcome = classify_response(
        response_with(400, b'{"code": "limit-not-valid"}'), EDNA_VENDOR.error_rules, NOW
    )
    assert outcome == Fail("status 400 limit-not-valid: lower page_size", 400)


def test_both_retry_budgets_end_the_attempts():
    assert within_retry_budget(MAX_ATTEMPTS - 1, 5.0, 5.0)
    assert not within_retry_budget(MAX_ATTEMPTS, 0.0, 5.0)
    assert not within_retry_budget(1, 5.1, 5.0)


def test_the_rate_limiter_counts_in_sliding_windows():
    now = 0.0
    rate_limiter = RateLimiter(per_second=5, per_minute=8, clock=lambda: now)
    assert [rate_limiter.reserve() for _ in range(5)] == [0.0] * 5
    assert rate_limiter.reserve() == pytest.approx(1.0)
    now = 1.5
    assert [rate_limiter.reserve() for _ in range(3)] == [0.0] * 3
    assert rate_limiter.reserve() == pytest.approx(58.5)
    now = 61.5
    assert rate_limiter.reserve() == 0.0


@given(
    st.none() | st.floats(0.01, 500),
    st.none() | st.floats(0.1, 5_000),
    st.lists(st.floats(0, 2), max_size=30),
)
def test_both_rate_limits_hold_in_every_sliding_window(per_second, per_minute, pauses):
    now = 1_000.0
    rate_limiter = RateLimiter(per_second=per_second, per_minute=per_minute, clock=lambda: now)
    sent = []
    for pause in pauses:
        now += pause
        for _ in range(20):
            wait = rate_limiter.reserve()
            if wait:
                now += wait
            else:
                sent.append(now)
    for limit, seconds in ((per_second, 1.0), (per_minute, 60.0)):
        if limit:
            length = seconds * max(1, 1 / limit) * (1 - 1e-9)
            most = max((sum(start <= time < start + length for time in sent) for start in sent), default=0)
            assert most <= max(int(limit), 1)


@given(
    st.integers(1, 8),
    st.floats(1, 500),
    st.floats(1, 5_000),
    st.lists(st.tuples(st.integers(0, 7), st.floats(0, 90), st.integers(1, 40)), max_size=20),
)
def test_processes_that_share_a_rate_limit_respect_it_together(shared_by, per_second, per_minute, runs):
    """Each run is a new process in one of `shared_by` slots; slots have independent clocks."""
    shared_by = min(shared_by, int(per_second), int(per_minute))
    clocks = [[1_000.0] for _ in range(shared_by)]
    sent = []
    for slot, pause, requests in runs:
        clock = clocks[slot % shared_by]
        clock[0] += pause
        rate_limiter = RateLimiter(
            per_second=per_second,
            per_minute=per_minute,
            shared_by=shared_by,
            clock=partial(clock.__getitem__, 0),
        )
        assert (rate_limiter.max_processes or 0) >= shared_by
        for _ in range(requests):
            while wait := rate_limiter.reserve():
                clock[0] += wait
            sent.append(clock[0])
    for limit, seconds in ((per_second, 1.0), (per_minute, 60.0)):
        most = max((sum(0 <= time - start < seconds - 1e-6 for time in sent) for start in sent), default=0)
        assert most <= int(limit)


def test_after_a_429_the_rate_limiter_pauses_then_recovers():
    now = 100.0
    rate_limiter = RateLimiter(clock=lambda: now)
    assert rate_limiter.reserve() == 0.0
    rate_limiter.slow_down(sent_at=now, seconds=2.0)
    rate_limiter.slow_down(sent_at=now, seconds=1.0)
    assert rate_limiter.reserve() == pytest.approx(2.0)
    now = 102.5
    assert rate_limiter.reserve() == 0.0
    assert rate_limiter.reserve() == pytest.approx(0.05)
    for _ in range(200):
        rate_limiter.speed_up()
    assert [rate_limiter.reserve() for _ in range(10)] == [0.0] * 10


def test_no_thread_outlives_a_sync(filled):
    before = threading.active_count()
    sync(config(filled))
    assert threading.active_count() <= before


# Shared limits, short bursts and suspended processes.


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("1.5", 1.5), (" 3 ", 3), ("3, 3", 3), ("1,7", 7), (".5", 0.5), ("-3", 0), ("1e3", 0), ("nan", 0)],
)
def test_a_requested_wait_may_be_fractional_repeated_or_padded(header, seconds):
    assert retry_after_seconds(response_with(Retry_After=header), NOW) == seconds


@pytest.mark.parametrize(
    "date", ["Mon, 01 Jan 99999999 00:00:00 GMT", "Sat, 31 Dec 9999 23:59:59 -2359", "0"]
)
@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"retryAfter": ' + b"9" * 5_000 + b"}", b'{"retryAfter": 1e999}']
)
def test_an_absurd_wait_causes_no_crash(date, body):
    assert 0 <= retry_after_seconds(response_with(body=body, Retry_After=date), NOW) < float("inf")


def test_only_a_429_slows_down_other_requests():
    for status in (500, 503):
        outcome = classify_response(response_with(status, Retry_After="1"), (), NOW)
        assert outcome == Retry(f"status {status}", 1.0)
    assert classify_response(response_with(429), (), NOW) == Retry(
        "status 429", rate_limited=True, without_effect=True
    )


def test_after_a_burst_of_429s_full_speed_returns_within_seconds():
    now = 100.0
    rate_limiter = RateLimiter(clock=lambda: now)
    for _ in range(10):
        while wait := rate_limiter.reserve():
            now += wait
        rate_limiter.slow_down(sent_at=now, seconds=1.0)
    ended = now
    for _ in range(60):
        while wait := rate_limiter.reserve():
            now += wait
        rate_limiter.speed_up()
    assert now - ended < 10
    assert [rate_limiter.reserve() for _ in range(100)] == [0.0] * 100


@pytest.mark.parametrize("status", [429, 503])
def test_ten_refusals_in_a_row_lose_nothing(filled, status):
    refused = iter(range(10))

    def refuse(_):
        filled.faults.force_status = None if next(refused, None) is None else status

    filled.journal.watch = refuse
    assert_all_arrive_once(filled, sync(config(filled)))


class SharedLimit:
    """A server's limit of 1,000 requests per minute, over sliding or fixed periods."""

    def __init__(self, *, slides):
        self.slides = slides
        self.times: list[float] = []

    def used(self, now):
        since = now - 60 if self.slides else now // 60 * 60
        return sum(since < time <= now if self.slides else since <= time for time in self.times[-2_000:])

    def serve(self, now):
        """Return what is left, or None for a request over the limit."""
        if self.used(now) >= 1000:
            return None
        self.times.append(now)
        return 1000 - self.used(now)


def send_for(seconds, server, other_starts=None):
    """Send as fast as allowed; return the numbers of requests served and refused."""
    now, served, refused = 1_000_030.0, 0, 0
    end = now + seconds
    rate_limiter = RateLimiter(per_second=50, per_minute=1000, clock=lambda: now)
    while now < end:
        if other_starts is not None and now >= other_starts:
            server.times += [now] * (1000 - server.used(now))
            other_starts = None
        if wait := rate_limiter.reserve():
            now += wait
            continue
        left = server.serve(now)
        rate_limiter.note_remaining(0 if left is None else left, 1000)
        served, refused = served + (left is not None), refused + (left is None)
        now += 0.001
    return served, refused


@pytest.mark.parametrize("slides", [True, False])
def test_an_unshared_rate_limit_is_used_fully(slides):
    served, refused = send_for(300, SharedLimit(slides=slides))
    assert served >= 0.8 * 5 * 1000
    assert refused == 0


@pytest.mark.parametrize("slides", [True, False])
def test_a_period_exhausted_by_another_program_is_waited_for(slides):
    served, refused = send_for(120, SharedLimit(slides=slides), other_starts=1_000_035.0)
    assert refused <= 1
    assert served >= 250


def test_a_reset_time_from_the_server_is_waited_for():
    now = 100.0
    rate_limiter = RateLimiter(clock=lambda: now)
    rate_limiter.note_remaining(0, 100)
    assert rate_limiter.reserve() == 0.0
    rate_limiter.note_remaining(0, 100, reset=7)
    assert rate_limiter.reserve() == pytest.approx(7)


@pytest.mark.parametrize(
    ("name", "value", "seconds"),
    [
        ("X-RateLimit-Reset", 9, 9),
        ("RateLimit-Reset", 9, 9),
        ("X-RateLimit-Reset", NOW.timestamp() + 5, 5),
        ("RateLimit-Reset", (NOW.timestamp() + 5) * 1_000, 5),
        ("RateLimit-Reset", NOW.timestamp() - 5, 0),
        ("RateLimit-Reset", "soon", None),
    ],
)
def test_a_reset_is_a_duration_or_a_unix_timestamp(name, value, seconds):
    headers = {"X-RateLimit-Remaining": "3", "X-RateLimit-Limit": "10", name: str(value)}
    assert remaining_requests(headers, NOW) == (3, 10, seconds)


def test_remaining_requests_are_read_from_headers():
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Limit": "1000"}
    assert remaining_requests(headers, NOW) == (0, 1000, None)
    assert remaining_requests(headers | {"X-RateLimit-Limit": "1"}, NOW) == (0, 1, None)
    assert remaining_requests(headers | {"X-RateLimit-Limit": "0"}, NOW) is None
    assert remaining_requests({"X-RateLimit-Limit": "1000"}, NOW) is None
    assert remaining_requests({"X-RateLimit-Remaining": "0"}, NOW) is None
    assert remaining_requests(headers | {"X-RateLimit-Remaining": "none"}, NOW) is None


def test_unexplained_time_is_a_suspension():
    assert was_suspended(elapsed=1_000, accounted=60, max_seconds=900)
    assert not was_suspended(elapsed=1_000, accounted=990, max_seconds=900)
    assert not was_suspended(elapsed=1_000, accounted=100, max_seconds=900)
