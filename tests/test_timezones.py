"""The machine's time zone does not affect the output."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from msghistory_sandbox.history import Message
from tests.processes import environment, run, whole_lines
from tests.support import LEDGER, config, without_times

#: Clocks in Europe go back by an hour; in New York a week later, in Kathmandu never.
CHANGE = datetime(2024, 10, 27, 1, tzinfo=timezone.utc)
ZONES = ["UTC", "Europe/Rome", "America/New_York", "Asia/Kathmandu"]


@pytest.fixture
def around_a_change(sandbox):
    """A message every ten minutes, with each notation of an offset in turn, and without any."""
    formats = [
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%dT%H:%M:%S+0000",
        "%Y-%m-%dT%H:%M:%S+00:00",
        "%Y-%m-%dT%H:%M:%S",
    ]
    for number in range(48):
        sent = CHANGE + timedelta(minutes=10 * (number - 24))
        text = sent.strftime(formats[number % len(formats)])
        if number % 5 == 0:
            text = sent.astimezone(timezone(timedelta(hours=2))).isoformat()
        sent_ms = int(sent.timestamp() * 1000)
        sandbox.edna.add(
            Message(id=number, sent_ms=sent_ms, channel="SMS", fields={"sentOrReceivedAt": text})
        )
        sandbox.gateway["SMS"].add(Message(id=str(number), sent_ms=sent_ms, channel="SMS"))
    return sandbox


def test_the_output_does_not_depend_on_the_machines_time_zone(around_a_change, tmp_path):
    settings = config(around_a_change, start_date="2024-10-26", end_date="2024-10-27T03:15:00")
    outputs = []
    for zone in ZONES:
        printed = run(settings, tmp_path, env=environment(TZ=zone)).stdout.encode()
        outputs.append(without_times(whole_lines(printed)))
    records = [message for message in outputs[0] if message["type"] == "RECORD"]
    assert sum(record["stream"] != LEDGER for record in records) == 2 * (24 + 14)
    assert outputs == [outputs[0]] * len(ZONES)
