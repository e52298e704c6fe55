"""Messages and statuses as a function of the clock, and changes to histories."""

from __future__ import annotations

import msgspec
import pytest

from msghistory_sandbox import Clock, History
from msghistory_sandbox.times import DAY_MS
from tests.sandbox_client import (
    NOW,
    edna_ids,
    edna_message,
    empty_sandbox,
    gateway_ids,
    gateway_message,
    request_edna,
)


@pytest.fixture
def sandbox():
    with empty_sandbox() as served:
        yield served


def test_only_visible_messages_are_served(sandbox):
    sandbox.edna.add(
        edna_message(1), edna_message(2, visible_ms=NOW + 5000), edna_message(3, sent_ms=NOW + 5001)
    )
    sandbox.gateway["SMS"].add(gateway_message(1, visible_ms=NOW + 5000))
    assert (edna_ids(sandbox), gateway_ids(sandbox)) == ([1], [])
    sandbox.clock.advance(5)
    assert (edna_ids(sandbox), gateway_ids(sandbox)) == ([1, 2], [1])
    sandbox.clock.advance(0.001)
    assert edna_ids(sandbox) == [3, 1, 2]
    sandbox.clock.set(NOW)
    assert edna_ids(sandbox) == [1]


def test_statuses_follow_the_lifecycle(sandbox):
    steps = ((0, "ACCEPTED"), (1000, "DELIVERED"), (DAY_MS, "READ"))
    sandbox.edna.add(edna_message(0, lifecycle=steps))
    seen = []
    for seconds in (0, 0.999, 0.001, 86_398.999, 0.001):
        sandbox.clock.advance(seconds)
        row = request_edna(sandbox).json()["content"][0]
        seen.append((row["deliveryStatus"], row["deliveryStatusAt"][:19]))
    assert seen == [
        ("ACCEPTED", "2026-03-20T12:00:00"),
        ("ACCEPTED", "2026-03-20T12:00:00"),
        ("DELIVERED", "2026-03-20T12:00:01"),
        ("DELIVERED", "2026-03-20T12:00:01"),
        ("READ", "2026-03-21T12:00:00"),
    ]


def test_changes_between_pages_take_effect_immediately(sandbox):
    sandbox.edna.add(*(edna_message(number) for number in (1, 2, 4)))
    sort = [{"property": "sentOrReceivedAt", "direction": "ASC"}]

    def page(offset: int) -> list[tuple[int, str]]:
        content = request_edna(sandbox, {"limit": 2, "offset": offset, "sort": sort}).json()["content"]
        return [(row["messageId"], row["deliveryStatus"]) for row in content]

    assert page(0) == [(4, "SENT"), (2, "SENT")]
    sandbox.edna.add(edna_message(3))
    assert page(2) == [(2, "SENT"), (1, "SENT")]
    sandbox.edna.set_status(2, "DELIVERED", NOW)
    assert page(2) == [(2, "DELIVERED"), (1, "SENT")]
    old = sandbox.edna.get(1)
    assert old is not None
    sandbox.edna.replace(msgspec.structs.replace(old, sent_ms=old.sent_ms - DAY_MS))
    assert page(0) == [(1, "SENT"), (4, "SENT")]


def test_watch_can_change_data_during_a_sync(sandbox):
    sandbox.edna.add(edna_message(1))
    sandbox.journal.watch = lambda _: sandbox.edna.add(edna_message(len(sandbox.edna) + 1))
    assert (edna_ids(sandbox), edna_ids(sandbox)) == ([1, 2], [1, 2, 3])


def test_frozen_clock_stands_still_and_resumes():
    clock = Clock(NOW, frozen=True)
    assert clock.now_ms() == clock.now_ms() == NOW
    clock.run()
    assert NOW <= clock.now_ms() < NOW + 5000


def test_duplicate_ids_are_rejected():
    history = History([edna_message(1)])
    with pytest.raises(ValueError, match="already"):
        history.add(edna_message(1))
    with pytest.raises(ValueError, match="same id"):
        History([edna_message(1), edna_message(1)])
