"""Failures of one stream, and their effect on the others."""

from __future__ import annotations

import json
from contextlib import ExitStack
from datetime import timedelta

import pytest

from tests.processes import error_lines, run_here
from tests.vendors import END, Vendor, edna_row, gateway_row

HOUR = timedelta(hours=1)
EDNA, SMS = "edna_history", "partner_gateway_history_sms"
CHANNELS = (SMS, "partner_gateway_history_rcs", "partner_gateway_history_whatsapp")


class TwoVendors:
    """A server per vendor, each with one message and the status of all its responses."""

    def __init__(self, *, edna=200, gateway=200):
        self.edna = Vendor([edna_row(1, END - HOUR)], status=lambda *_: edna)
        self.gateway = Vendor([gateway_row(1, END - HOUR)], status=lambda *_: gateway)

    def run(self, directory, *, more=(), state=None, **settings):
        with ExitStack() as stack:
            stack.enter_context(self.edna.serve())
            stack.enter_context(self.gateway.serve())
            both = {**self.gateway.gateway_settings(), **self.edna.settings(), **settings}
            return run_here(both, directory, more=more, state=state)


def records(ended, stream):
    messages = [json.loads(line) for line in ended.stdout.splitlines()]
    return [message for message in messages if message["type"] == "RECORD" and message["stream"] == stream]


@pytest.mark.parametrize("more", [(), ("--test",)])
@pytest.mark.parametrize("failing", ["edna", "gateway"])
@pytest.mark.parametrize("status", [400, 401])
def test_a_failed_stream_does_not_stop_the_others(tmp_path, failing, status, more):
    stream, other = (EDNA, SMS) if failing == "edna" else (SMS, EDNA)
    ended = TwoVendors(**{failing: status}).run(tmp_path, more=more)
    assert ended.returncode == 1
    if more:
        assert f"{other}: ok, newest message sent 2024-11-03 11:00 UTC" in ended.stdout
    else:
        assert len(records(ended, other)) == 1
    assert f'"{stream}","record"' not in ended.stdout
    assert f"{stream}: ok" not in ended.stdout
    assert f"status {status}" in error_lines(ended.stderr)[0]


def test_every_failure_is_reported_at_the_end(tmp_path):
    ended = TwoVendors(edna=400, gateway=400).run(tmp_path)
    assert [line.split(" | ")[-1].split(":")[0] for line in error_lines(ended.stderr)] == [
        EDNA,
        *sorted(CHANNELS),
    ]
    assert ended.returncode == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_credential_is_used_once(tmp_path, status):
    vendors = TwoVendors(gateway=status)
    ended = vendors.run(tmp_path, concurrency=1)
    assert len(vendors.gateway.requests) == 1
    (line,) = error_lines(ended.stderr)
    assert f"status {status}" in line
    assert ended.stderr.count("is skipped") == len(CHANNELS) - 1
    assert len(records(ended, EDNA)) == 1


def test_a_failed_stream_keeps_its_bookmark(tmp_path):
    start = (END - 2 * HOUR).isoformat()
    state = {"bookmarks": {EDNA: {"replication_key_value": start, "as_of": start}}}
    ended = TwoVendors(edna=400).run(tmp_path, state=state)
    messages = [json.loads(line) for line in ended.stdout.splitlines()]
    bookmarks = [message["value"]["bookmarks"] for message in messages if message["type"] == "STATE"][-1]
    assert bookmarks[EDNA] == state["bookmarks"][EDNA]
    assert bookmarks[SMS]["replication_key_value"] == "2024-11-03T12:00:00.000Z"


def test_too_many_rejected_messages_end_the_run_immediately(tmp_path):
    vendors = TwoVendors()
    vendors.edna.rows = [edna_row(1, END - minutes * HOUR / 60, messageId="") for minutes in (1, 2, 3)]
    ended = vendors.run(tmp_path, max_rejected=2)
    (line,) = error_lines(ended.stderr)
    assert "max_rejected" in line
    assert vendors.gateway.requests == []
    assert ended.returncode == 1
