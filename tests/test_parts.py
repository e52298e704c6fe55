"""The division of a message history among readers that work at once."""

from __future__ import annotations

from datetime import timedelta
from itertools import cycle, pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tap_msghistory.config.account import Account
from tap_msghistory.config.settings import SETTINGS
from tap_msghistory.config.validation import with_defaults
from tap_msghistory.planning.windows import TARGET_WINDOW_ROWS, Reason, Window
from tap_msghistory.reading.parts import divide, parts, survey
from tap_msghistory.syncing.history_sync import HistorySync
from tap_msghistory.syncing.run import SyncRun
from tests.support import END, config, in_send_order, truth

WINDOWS = st.lists(st.integers(1, 10**9), min_size=2, max_size=9, unique=True).map(
    lambda bounds: [
        Window(END + timedelta(milliseconds=start), END + timedelta(milliseconds=end), Reason.NEW)
        for start, end in pairwise(sorted(bounds))
    ]
)


@given(WINDOWS, st.integers(1, 20), st.lists(st.floats(0, 10**7), min_size=1))
def test_parts_cover_the_plan_once_and_in_order(windows, readers, estimates):
    estimate = cycle(estimates)
    groups = divide(survey(windows, lambda several: [next(estimate) for _ in several], readers), readers)
    divided = [window for group in groups for window in group]
    assert 1 <= len(groups) <= readers
    assert all(groups)
    assert (divided[0].start, divided[-1].end) == (windows[0].start, windows[-1].end)
    assert all(earlier.end == later.start for earlier, later in pairwise(divided))
    assert {window.start for window in windows} <= {window.start for window in divided}


@given(st.integers(1, 20), st.integers(TARGET_WINDOW_ROWS, 10**8))
def test_parts_of_an_even_history_have_similar_sizes(readers, total):
    whole = Window(END - timedelta(days=300), END, Reason.NEW)

    def count(window):
        return total * ((window.end - window.start) / (whole.end - whole.start))

    groups = divide(survey([whole], lambda several: map(count, several), readers), readers)
    sizes = [sum(map(count, group)) for group in groups]
    assert len(groups) == min(readers, -(-total // TARGET_WINDOW_ROWS)) or max(sizes) <= TARGET_WINDOW_ROWS
    assert max(sizes) <= 2 * max(total / len(groups), TARGET_WINDOW_ROWS)


def test_readers_of_all_parts_read_each_message_once(large):
    run = SyncRun(Account(with_defaults(config(large), SETTINGS)))
    for source in run.sources:
        found = parts(source, HistorySync(source, run).plan({}).windows, readers=4)
        records = [
            msgspec.structs.asdict(record)
            for windows, shares in found
            for batch in source.read(windows, shares_start_boundary=shares)
            for record in batch.records
        ]
        expected = truth(large, source.name)
        assert in_send_order(source.name, records) == in_send_order(source.name, expected)
        assert len(found) > 1 or len(expected) < 2 * TARGET_WINDOW_ROWS
        assert [shares for _, shares in found] == [False, *[True] * (len(found) - 1)]
