"""The plan of runs at any intervals: complete, and without repetitions."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tap_msghistory.planning.bookmarks import Bookmark
from tap_msghistory.planning.plan import Schedule, advance, plan
from tap_msghistory.planning.windows import MAX_SPAN, Order, Reason, Size, Window, joined

START = datetime(2020, 1, 1, tzinfo=timezone.utc)
MILLISECOND = timedelta(milliseconds=1)
HOURS = st.integers(1, 24 * 400).map(lambda hours: timedelta(hours=hours))
AGES = st.lists(HOURS, unique=True, max_size=5).map(lambda ages: tuple(sorted(ages)))
#: Runs: the time since the previous run, and the number of windows after which the run is killed.
RUNS = st.lists(st.tuples(HOURS, st.none() | st.integers(0, 8)), min_size=1, max_size=8)


def first_bookmark() -> Bookmark:
    return Bookmark(START, START, read_from=START)


def window_of(milliseconds: int) -> Window:
    """Return a window with a value for each field."""
    return Window(START, START + milliseconds * MILLISECOND, Reason.REVISIT, Size.LARGE, 20_000)


def run(
    bookmark: Bookmark, until: datetime, schedule: Schedule, killed_after: int | None
) -> tuple[Bookmark, list[Window]]:
    """Read the planned windows, or the first of them; return the bookmark, and the windows read."""
    read = plan(bookmark, until, schedule)[:killed_after]
    for window in read:
        bookmark = advance(bookmark, window, until, schedule)
    return bookmark, read


@given(AGES, HOURS | st.just(timedelta(0)), RUNS)
def test_windows_are_in_order_and_never_overlap(ages, lookback, runs):
    schedule, bookmark, until = Schedule(START, ages, lookback), first_bookmark(), START
    for pause, killed_after in runs:
        until += pause
        windows = plan(bookmark, until, schedule)
        assert all(earlier.end <= later.start for earlier, later in pairwise(windows))
        assert all(START <= window.start < window.end <= until for window in windows)
        assert all(window.end - window.start <= timedelta(days=366) for window in windows)
        bookmark, _ = run(bookmark, until, schedule, killed_after)


@given(AGES, RUNS)
def test_new_messages_are_read_once_without_a_gap(ages, runs):
    schedule, bookmark, until = Schedule(START, ages), first_bookmark(), START
    new = []
    for pause, killed_after in runs:
        until += pause
        bookmark, read = run(bookmark, until, schedule, killed_after)
        new += [window for window in read if window.reason is Reason.NEW]
    _, rest = run(bookmark, until, schedule, None)
    new += [window for window in rest if window.reason is Reason.NEW]
    assert new[0].start == START
    assert new[-1].end == until
    assert all(earlier.end == later.start for earlier, later in pairwise(new))


@given(AGES, st.lists(HOURS, min_size=1, max_size=8), st.integers(0, 24 * 400))
def test_each_message_is_read_when_new_and_at_each_age(ages, pauses, sent_hours):
    """Exactly once each, at any intervals. Ages that fall between two runs count as one reading."""
    sent = START + timedelta(hours=sent_hours, minutes=30)
    schedule, bookmark, until = Schedule(START, ages), first_bookmark(), START
    for pause in pauses:
        before, until = until, until + pause
        bookmark, read = run(bookmark, until, schedule, None)
        readings = sum(window.start < sent <= window.end for window in read)
        is_due = any(before < sent + age <= until for age in (timedelta(0), *ages))
        assert readings == is_due


@given(AGES, RUNS, st.integers(0, 24 * 400))
def test_a_killed_run_delays_readings_but_loses_none(ages, runs, sent_hours):
    """After the last run, every age that has passed was followed by a reading."""
    sent = START + timedelta(hours=sent_hours, minutes=30)
    schedule, bookmark, until = Schedule(START, ages), first_bookmark(), START
    readings: list[datetime] = []
    for pause, killed_after in [*runs, (timedelta(hours=1), None)]:
        until += pause
        bookmark, read = run(bookmark, until, schedule, killed_after)
        readings += [until for window in read if window.start < sent <= window.end]
    moments = [sent, *(sent + age for age in ages)]
    due = [moment for moment in moments if moment <= until]
    assert all(any(reading >= moment for reading in readings) for moment in due)
    assert len(readings) <= len(due)


@given(AGES, RUNS)
def test_a_killed_run_resumes_at_the_next_window(ages, runs):
    schedule, bookmark, until = Schedule(START, ages), first_bookmark(), START
    for pause, killed_after in runs:
        until += pause
        windows = plan(bookmark, until, schedule)
        bookmark, read = run(bookmark, until, schedule, killed_after)
        assert plan(bookmark, until, schedule) == windows[len(read) :]


@given(AGES, HOURS | st.just(timedelta(0)), RUNS)
def test_a_run_with_nothing_new_plans_nothing(ages, lookback, runs):
    schedule, bookmark, until = Schedule(START, ages, lookback), first_bookmark(), START
    for pause, _ in runs:
        until += pause
        bookmark, _ = run(bookmark, until, schedule, None)
    assert plan(bookmark, until, schedule) == []
    assert plan(bookmark, until - timedelta(hours=1), schedule) == []
    assert bookmark == Bookmark(until, until, read_from=START)


@given(HOURS, HOURS)
def test_a_lookback_rereads_messages_before_the_bookmark(lookback, pause):
    schedule = Schedule(START, (), lookback)
    bookmark, _ = run(first_bookmark(), START + pause, schedule, None)
    windows = plan(bookmark, START + 2 * pause, schedule)
    assert windows[0].start == max(START, START + pause - lookback)
    assert {window.reason for window in windows} == {Reason.LOOKBACK, Reason.NEW}


@given(st.integers(2, 10**12), st.integers(-10, 10**12), st.sampled_from(Order))
@example(3, 2, Order.NEWEST_FIRST)  # the newer part would be empty
@example(3, 1, Order.OLDEST_FIRST)  # the older part would be empty
def test_a_window_is_split_into_parts_that_join(span, at, order):
    window, row_sent = window_of(span), START + at * MILLISECOND
    if not window.separates(row_sent, order):
        return
    parts = window.split(row_sent, order, 9_900)
    assert len(parts) >= 2
    assert (parts[0].start, parts[-1].end) == (window.start, window.end)
    assert all(earlier.end == later.start for earlier, later in pairwise(parts))
    assert all(part.start < part.end and part.start.microsecond % 1000 == 0 for part in parts)
    assert {part.reason for part in parts} == {Reason.REVISIT}


@given(st.integers(1, 10**12), st.integers(1, 20))
def test_parts_are_equally_long_and_of_unknown_size(span, count):
    window = window_of(span)
    parts = window.parts(count)
    assert len(parts) == min(count, span)
    assert joined(parts) == [replace(window, size=Size.UNKNOWN, expected_rows=None)]
    lengths = [part.end - part.start for part in parts]
    assert max(lengths) - min(lengths) <= MILLISECOND
    assert {(part.size, part.expected_rows) for part in parts} == {(Size.UNKNOWN, None)}


def test_only_the_part_up_to_the_probed_row_fits():
    window = Window(START, START + timedelta(hours=4), Reason.REVISIT, Size.LARGE, 20_000)
    at = START + timedelta(hours=1)
    older, newer = window.split(at, Order.OLDEST_FIRST, 9_900)
    assert older == Window(START, at - MILLISECOND, Reason.REVISIT, Size.FITS, 9_900)
    assert newer == Window(at - MILLISECOND, window.end, Reason.REVISIT, Size.LARGE)
    at = window.end - timedelta(hours=1)
    older, newer = window.split(at, Order.NEWEST_FIRST, 9_900)
    assert older == Window(START, at + MILLISECOND, Reason.REVISIT, Size.LARGE)
    # Requests start a millisecond early, so they return the probed row too.
    assert newer == Window(at + MILLISECOND, window.end, Reason.REVISIT, Size.FITS, 9_901)


@given(st.integers(2, 10**12), st.integers(-10, 10**12), st.sampled_from(Order))
def test_the_part_that_a_server_lists_first_is_unsized(span, at, order):
    window, row_sent = window_of(span), START + at * MILLISECOND
    if not window.separates(row_sent, order):
        return
    part = window.first_part(row_sent, order)
    if order is Order.OLDEST_FIRST:
        assert part == Window(START, row_sent - MILLISECOND, Reason.REVISIT)
    else:
        assert part == Window(row_sent + MILLISECOND, window.end, Reason.REVISIT)


@given(st.integers(1, 10**9), st.data())
def test_the_shares_on_both_sides_of_a_row_add_up(span, data):
    window, at = window_of(span), data.draw(st.integers(0, span))
    share = window.share(START + at * MILLISECOND, Order.OLDEST_FIRST)
    assert share == pytest.approx(at / span)
    assert window.share(START + at * MILLISECOND, Order.NEWEST_FIRST) == pytest.approx(1 - share)


@pytest.mark.parametrize("order", Order)
def test_the_share_of_a_row_outside_is_zero_or_one(order):
    window = window_of(1_000)
    before, after = ((START + at * MILLISECOND) for at in (-1, 1_001))
    assert window.share(before, order) == (order is Order.NEWEST_FIRST)
    assert window.share(after, order) == (order is Order.OLDEST_FIRST)


def test_adjacent_windows_are_joined_unless_their_reasons_differ():
    def window(start: int, end: int, reason: Reason) -> Window:
        return Window(START + timedelta(hours=start), START + timedelta(hours=end), reason)

    windows = [
        window(0, 1, Reason.REVISIT),
        window(1, 2, Reason.REVISIT),
        window(2, 3, Reason.REVISIT),
        window(4, 5, Reason.REVISIT),
        window(5, 6, Reason.NEW),
        window(6, 7, Reason.NEW),
    ]
    assert joined(windows) == [
        window(0, 3, Reason.REVISIT),
        window(4, 5, Reason.REVISIT),
        window(5, 7, Reason.NEW),
    ]
    assert joined([]) == []


def test_a_window_is_described_by_its_bounds():
    assert window_of(1_500).describe() == "2020-01-01T00:00:00.000Z to 2020-01-01T00:00:01.500Z"


def test_ages_that_adjoin_are_read_at_once():
    read_to, hour = START + timedelta(days=100), timedelta(hours=1)
    schedule = Schedule(START, (hour, 2 * hour, timedelta(days=30)))
    assert plan(Bookmark(read_to, read_to), read_to + hour, schedule) == [
        Window(read_to - timedelta(days=30), read_to - timedelta(days=30) + hour, Reason.REVISIT),
        Window(read_to - 2 * hour, read_to, Reason.REVISIT),
        Window(read_to, read_to + hour, Reason.NEW),
    ]


@given(AGES, HOURS)
def test_adjacent_ranges_are_read_as_one(ages, pause):
    schedule, (bookmark, _) = (
        Schedule(START, ages),
        run(first_bookmark(), START + pause, Schedule(START), None),
    )
    windows = plan(bookmark, START + 2 * pause, schedule)
    assert all(
        earlier.end < later.start or earlier.end - earlier.start == MAX_SPAN or later.reason is Reason.NEW
        for earlier, later in pairwise(windows)
    )


@pytest.mark.parametrize(("days", "parts"), [(18, 5), (44, 2), (46, 1)])
def test_the_fill_time_determines_the_number_of_parts(days, parts):
    year, full_after = Window(START, START + timedelta(days=360), Reason.NEW), timedelta(days=days)
    at = year.end - full_after
    assert year.presplit_count(at, Order.NEWEST_FIRST) == parts
    assert year.presplit_count(START + full_after, Order.OLDEST_FIRST) == 1
    lengths = {part.end - part.start for part in year.split(at, Order.NEWEST_FIRST, 9_900)}
    if parts > 1:
        assert lengths == {timedelta(days=360) / parts}
    else:
        assert lengths == {full_after - MILLISECOND, year.end - START - full_after + MILLISECOND}


def test_a_dense_year_is_split_in_advance_if_newest_first():
    year = Window(START, START + timedelta(days=360), Reason.NEW)
    full_after = timedelta(days=18)  # twenty windows at a constant density
    parts = year.split(year.end - full_after, Order.NEWEST_FIRST, 9_900)
    assert [(part.end - part.start, part.size) for part in parts] == [(timedelta(days=72), Size.LARGE)] * 5
    older, newer = parts[0].split(parts[0].end - full_after, Order.NEWEST_FIRST, 9_900)
    assert (older.size, newer.size, newer.end - newer.start) == (
        Size.LARGE,
        Size.FITS,
        full_after - timedelta(milliseconds=1),
    )


def test_a_final_burst_costs_few_requests_if_newest_first():
    year = Window(START, START + timedelta(days=360), Reason.NEW)
    assert len(year.split(year.end - timedelta(minutes=1), Order.NEWEST_FIRST, 9_900)) == 12


def test_messages_of_one_millisecond_stay_together():
    window = Window(START, START + timedelta(hours=1), Reason.NEW)
    at = START + timedelta(minutes=30)
    older, newer = window.split(at, Order.OLDEST_FIRST, 9_900)
    assert (older.end, older.size) == (at - MILLISECOND, Size.FITS)
    assert not newer.separates(at, Order.OLDEST_FIRST)
    assert newer.separates(at + MILLISECOND, Order.OLDEST_FIRST)


@given(st.integers(-10, 10**6), st.sampled_from(Order))
def test_a_row_outside_a_window_cannot_split_it(milliseconds, order):
    window = Window(START, START + timedelta(seconds=1), Reason.NEW)
    at = START + timedelta(milliseconds=milliseconds)
    # Requests start a millisecond early, so a row at the start belongs to the window.
    if not window.start <= at <= window.end:
        assert not window.separates(at, order)
