"""The plan of runs at any intervals: complete, and without repetitions."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tap_msghistory.planning.bookmarks import Bookmark
from tap_msghistory.planning.plan import Schedule, advance, plan
from tap_msghistory.planning.windows import MAX_SPAN, Order, Reason, Size, Window

START = datetime(2020, 1, 1, tzinfo=timezone.utc)
HOURS = st.integers(1, 24 * 400).map(lambda hours: timedelta(hours=hours))
AGES = st.lists(HOURS, unique=True, max_size=5).map(lambda ages: tuple(sorted(ages)))
#: Runs: the time since the previous run, and the number of windows after which the run is killed.
RUNS = st.lists(st.tuples(HOURS, st.none() | st.integers(0, 8)), min_size=1, max_size=8)


def first_bookmark() -> Bookmark:
    return Bookmark(START, START)


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
def test_a_run_with_nothing_new_plans_nothing(ages, runs):
    schedule, bookmark, until = Schedule(START, ages), first_bookmark(), START
    for pause, _ in runs:
        until += pause
        bookmark, _ = run(bookmark, until, schedule, None)
    assert plan(bookmark, until, schedule) == []
    assert plan(bookmark, until - timedelta(hours=1), schedule) == []
    assert bookmark == Bookmark(until, until)


@given(HOURS, HOURS)
def test_a_lookback_rereads_messages_before_the_bookmark(lookback, pause):
    schedule = Schedule(START, (), lookback)
    bookmark, _ = run(first_bookmark(), START + pause, schedule, None)
    windows = plan(bookmark, START + 2 * pause, schedule)
    assert windows[0].start == max(START, START + pause - lookback)
    assert {window.reason for window in windows} == {Reason.LOOKBACK, Reason.NEW}


@given(
    st.integers(2, 10**12),
    st.integers(-10, 10**12),
    st.sampled_from(Order),
)
def test_a_window_is_split_into_parts_that_join(span, at, order):
    def moment(milliseconds: int) -> datetime:
        return START + timedelta(milliseconds=milliseconds)

    window = Window(START, moment(span), Reason.REVISIT, Size.LARGE)
    if not window.separates(moment(at), order):
        return
    parts = window.split(moment(at), order, 9_900)
    assert len(parts) >= 2
    assert (parts[0].start, parts[-1].end) == (window.start, window.end)
    assert all(earlier.end == later.start for earlier, later in pairwise(parts))
    assert all(part.start < part.end and part.start.microsecond % 1000 == 0 for part in parts)
    assert {part.reason for part in parts} == {Reason.REVISIT}


def test_only_the_part_up_to_the_probed_row_fits():
    window = Window(START, START + timedelta(hours=4), Reason.NEW)
    middle = START + timedelta(hours=1)
    window = Window(START, START + timedelta(hours=4), Reason.NEW)
    sizes = {order: tuple(part.size for part in window.split(middle, order, 9_900)) for order in Order}
    assert sizes == {
        Order.OLDEST_FIRST: (Size.FITS, Size.LARGE),
        Order.NEWEST_FIRST: (Size.LARGE, Size.FITS),
    }


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
    window, millisecond = Window(START, START + timedelta(hours=1), Reason.NEW), timedelta(milliseconds=1)
    at = START + timedelta(minutes=30)
    older, newer = window.split(at, Order.OLDEST_FIRST, 9_900)
    assert (older.end, older.size) == (at - millisecond, Size.FITS)
    assert not newer.separates(at, Order.OLDEST_FIRST)
    assert newer.separates(at + millisecond, Order.OLDEST_FIRST)


@given(st.integers(-10, 10**6), st.sampled_from(Order))
def test_a_row_outside_a_window_cannot_split_it(milliseconds, order):
    window = Window(START, START + timedelta(seconds=1), Reason.NEW)
    at = START + timedelta(milliseconds=milliseconds)
    # Requests start a millisecond early, so a row at the start belongs to the window.
    if not window.start <= at <= window.end:
        assert not window.separates(at, order)
