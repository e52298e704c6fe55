"""Interrupted runs: the next run resumes, loses nothing, and rereads little."""

from __future__ import annotations

import os
import signal
import threading
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from msghistory_sandbox.faults import Faults
from msghistory_sandbox.history import Message
from tests.processes import TIMEOUT_SECONDS, environment, error_lines, read_until, run, running, whole_lines
from tests.sockets import read_request, serving
from tests.support import (
    END,
    END_MS,
    GATEWAY_STREAMS,
    LEDGER,
    STREAMS,
    YEARS,
    config,
    everything,
    from_the_start,
    iso,
    sync,
)

EDNA, SMS = "edna_history", "partner_gateway_history_sms"
AGES = (timedelta(0), timedelta(hours=1), *(timedelta(days=days) for days in (1, 3, 7, 30)))
PAUSE = timedelta(hours=6)
HOUR_MS = 3_600_000


class Warehouse:
    """A target that loads complete messages, upserts by key, and keeps the last state."""

    def __init__(self):
        self.rows = {}
        self.state = None
        self._unsettled = set()
        self._settled = set()

    def load(self, messages):
        """Load a run's messages. No message that a state covers may be repeated."""
        self._unsettled.clear()
        for message in messages:
            if message["type"] == "RECORD" and message["stream"] != LEDGER:
                key = message["stream"], message["record"]["messageId"]
                assert key not in self._settled
                self.rows[key] = message["record"]
                self._unsettled.add(key)
            elif message["type"] == "STATE":
                self.state = message["value"]
                self._settled |= self._unsettled

    def allow_repetition(self):
        """Permit that messages are read again, because they are due again."""
        self._settled.clear()


def states(messages):
    """Return the indexes of the STATE messages."""
    return [at for at, message in enumerate(messages) if message["type"] == "STATE"]


# Killed, at any byte and at any STATE line.


@pytest.mark.parametrize(
    ("signum", "unbuffered"),
    [(signal.SIGKILL, ""), (signal.SIGTERM, "1"), (signal.SIGINT, ""), (signal.SIGHUP, "")],
    ids=["SIGKILL", "SIGTERM unbuffered", "SIGINT", "SIGHUP"],
)
def test_repeated_stops_at_any_byte_lose_and_repeat_nothing(years, tmp_path, signum, unbuffered):
    # Many containers set this variable. A write may then be partial.
    env = environment(PYTHONUNBUFFERED=unbuffered)
    random = Random(int(signum))
    warehouse = Warehouse()
    stops = 0
    finished = False
    while not finished:
        size = random.randrange(1, 300_000)
        # A small pipe, so that the tap stops near the byte that was read last. Logs go to a file.
        settings, state, log = from_the_start(years), warehouse.state, tmp_path / "log"
        options = {"env": env, "pipesize": 4096, "stderr": log.open("wb")}
        with options["stderr"], running(settings, tmp_path, state=state, **options) as process:
            printed = process.stdout.read(size)
            if len(printed) == size:
                process.send_signal(signum)
                stops += 1
            if signum != signal.SIGKILL:
                printed += process.stdout.read()
                assert printed.endswith(b"\n")
            finished = process.wait() == 0
        if not finished:
            assert process.returncode == (-signum if signum == signal.SIGKILL else 128 + signum)
            assert len(error_lines(log.read_text())) == (signum != signal.SIGKILL)
        warehouse.load(whole_lines(printed))
    assert stops >= 2
    assert warehouse.rows == everything(years)


def test_resuming_from_any_state_of_a_first_run_loses_nothing(years):
    first = sync(from_the_start(years)).messages
    assert len(states(first)) >= YEARS * len(STREAMS)
    for at in states(first):
        warehouse = Warehouse()
        warehouse.load(first[: at + 1])
        warehouse.load(sync(from_the_start(years), state=warehouse.state).messages)
        assert warehouse.rows == everything(years)


@pytest.fixture
def moved(sandbox):
    """A warehouse as of `PAUSE` ago. Since then, messages that have reached an age have a new status."""
    for number in range(240):
        # Not at the boundary of windows, where a message may be read twice (see docs/guarantees.md).
        sent_ms = END_MS - number * 4 * HOUR_MS - 5
        sandbox.edna.add(Message(id=number + 1, sent_ms=sent_ms, channel="SMS"))
        for channel in GATEWAY_STREAMS:
            sandbox.gateway[channel].add(Message(id=f"id {number}", sent_ms=sent_ms, channel=channel))
    for hours in (1, 5, 20):  # a day later there are more
        sandbox.edna.add(Message(id=1000 + hours, sent_ms=END_MS + hours * HOUR_MS, channel="SMS"))
    sandbox.clock.advance(-PAUSE.total_seconds())
    warehouse = Warehouse()
    warehouse.load(sync(as_of(sandbox, END - PAUSE)).messages)
    assert warehouse.rows == everything(sandbox)
    warehouse.allow_repetition()
    sandbox.clock.set(END_MS)
    for history in (sandbox.edna, *sandbox.gateway.values()):
        for message in history.visible(END_MS):
            sent = timedelta(milliseconds=message.sent_ms - END_MS)
            if any(-PAUSE < sent + age <= timedelta(0) for age in AGES):
                history.set_status(message.id, "DELIVERED", END_MS - 1)
    return sandbox, warehouse


def as_of(sandbox, moment):
    return config(sandbox, end_date=iso(moment), visibility_lag="PT0S")


@pytest.mark.parametrize("later", [timedelta(0), timedelta(days=1)], ids=["immediately", "a day later"])
def test_resuming_from_any_state_with_revisits_updates_every_status(moved, later):
    sandbox, loaded = moved
    second = sync(as_of(sandbox, END), state=loaded.state).messages
    assert len(states(second)) >= len(AGES) * len(STREAMS)
    sandbox.clock.set(END_MS + int(later.total_seconds() * 1000))
    for at in states(second):
        warehouse = Warehouse()
        warehouse.rows = loaded.rows.copy()
        warehouse.load(second[: at + 1])
        if later:
            warehouse.allow_repetition()
        warehouse.load(sync(as_of(sandbox, END + later), state=warehouse.state).messages)
        assert warehouse.rows == everything(sandbox)


def test_a_run_killed_after_every_window_finishes_eventually(moved):
    sandbox, warehouse = moved
    for _ in range(len(AGES) * len(STREAMS)):
        messages = sync(as_of(sandbox, END), state=warehouse.state).messages
        advanced = next(
            at for at in states(messages) if bookmarks(messages[at]["value"]) != bookmarks(warehouse.state)
        )
        warehouse.load(messages[: advanced + 1])
    assert warehouse.rows == everything(sandbox)
    rest = sync(as_of(sandbox, END), state=warehouse.state)
    assert not any(rest.records(stream) for stream in STREAMS)


def bookmarks(state):
    return {stream: state["bookmarks"][stream] for stream in STREAMS}


def test_a_state_follows_about_every_ten_thousand_messages(sandbox):
    sent = [END_MS - number * 1000 for number in range(25_000)]
    sandbox.edna.add(*(Message(id=1 + at, sent_ms=ms, channel="SMS") for at, ms in enumerate(sent)))
    sandbox.gateway["SMS"].add(
        *(Message(id=f"id {at}", sent_ms=ms, channel="SMS") for at, ms in enumerate(sent))
    )
    messages = sync(config(sandbox)).messages
    assert max(b - a for a, b in pairwise([0, *states(messages), len(messages)])) <= 11_000


# Stopped while waiting.


def limited_for_long(sandbox):
    """Return settings with which the first response requests a wait of ten minutes."""
    sandbox.faults = Faults(limit_next=1_000_000, limit_wait_s=600, retry_after="seconds")
    return config(sandbox, max_retry_seconds=3600)


@pytest.mark.parametrize(
    "signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda signum: signum.name
)
def test_a_signal_ends_a_long_wait_immediately(sandbox, tmp_path, signum):
    with running(limited_for_long(sandbox), tmp_path) as process:
        read_until(process.stderr, "retrying in")
        process.send_signal(signum)
        stdout, stderr = process.communicate()
    (line,) = error_lines(stderr.decode())
    assert signum.name in line
    assert process.returncode == 128 + signum
    assert stdout.endswith(b"\n")
    assert len(sandbox.journal.requests) == 1


def test_with_nohup_a_closed_terminal_does_not_stop_the_tap(years, tmp_path):
    log = tmp_path / "log"
    options = {"through": ("nohup",), "pipesize": 4096, "stderr": log.open("wb")}
    with options["stderr"], running(from_the_start(years), tmp_path, **options) as process:
        printed = process.stdout.read(10_000)
        process.send_signal(signal.SIGHUP)
        printed += process.stdout.read()
        assert process.wait() == 0
    warehouse = Warehouse()
    warehouse.load(whole_lines(printed))
    assert warehouse.rows == everything(years)


def test_a_suspended_process_retries_once_more(sandbox, tmp_path):
    sandbox.faults = Faults(limit_next=1, limit_wait_s=1, retry_after="seconds")
    settings = config(sandbox, max_retry_seconds=2, partner_gateway_api_key=None)
    with running(settings, tmp_path) as process:
        read_until(process.stderr, "retrying in")
        process.send_signal(signal.SIGSTOP)
        threading.Event().wait(4)
        process.send_signal(signal.SIGCONT)
        _, stderr = process.communicate()
    assert process.returncode == 0, stderr.decode()


def test_a_target_that_exits_during_a_wait_stops_the_tap(sandbox, tmp_path):
    with running(limited_for_long(sandbox), tmp_path) as process:
        read_until(process.stderr, "retrying in")
        process.stdout.close()
        stderr = process.stderr.read().decode()
        assert process.wait() == 1
    (line,) = error_lines(stderr)
    assert "closed" in line


def test_a_target_that_exits_during_a_request_stops_the_tap(sandbox, tmp_path):
    requested = threading.Event()
    sandbox.journal.watch = lambda _: requested.set()
    sandbox.faults.latency_ms = 3_600_000
    with running(config(sandbox, request_timeout=3600), tmp_path) as process:
        assert requested.wait(30)
        process.stdout.close()
        stderr = process.stderr.read().decode()
        assert process.wait() == 1
    (line,) = error_lines(stderr)
    assert "closed" in line


# Standard output that is full, closed or not ready.


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_non_blocking_stdout_receives_every_line(life_like, tmp_path, unbuffered):
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    env = environment(PYTHONUNBUFFERED=unbuffered)
    with (
        running(config(life_like), tmp_path, stdout=writable, env=env) as process,
        os.fdopen(readable, "rb") as stdout,
    ):
        os.close(writable)
        printed = stdout.read()
        assert process.wait() == 0
    warehouse = Warehouse()
    warehouse.load(whole_lines(printed))
    assert warehouse.rows == everything(life_like)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which Linux has")
def test_a_full_disk_causes_one_line_and_exit_code_1(years, tmp_path):
    with Path("/dev/full").open("wb") as full:
        finished = run(from_the_start(years), tmp_path, stdout=full)
    (line,) = error_lines(finished.stderr)
    assert "Writing to stdout failed" in line
    assert finished.returncode == 1


def test_a_disk_that_fills_during_a_run_loses_nothing(years, tmp_path):
    path = tmp_path / "lines"
    with path.open("wb") as lines:
        # In units of 512 bytes. The file ends within a line.
        finished = run(from_the_start(years), tmp_path, stdout=lines, through=limit_of_file_size(301))
    (line,) = error_lines(finished.stderr)
    assert "Writing to stdout failed" in line
    assert finished.returncode == 1
    printed = path.read_bytes()
    assert not printed.endswith(b"\n")
    warehouse = Warehouse()
    warehouse.load(whole_lines(printed))
    assert 0 < len(warehouse.rows) < len(everything(years))
    warehouse.load(sync(from_the_start(years), state=warehouse.state).messages)
    assert warehouse.rows == everything(years)


def limit_of_file_size(blocks):
    return "sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh"


@pytest.mark.parametrize("option", ["--test", "--plan"])
def test_a_stopped_check_does_not_mention_a_next_run(tmp_path, option):
    requested = threading.Event()

    def keep_waiting(connection):
        read_request(connection)
        requested.set()
        connection.recv(1)

    with serving(keep_waiting) as port:
        settings = {"start_date": "2024-01-01", "edna_api_key": "key"}
        settings["edna_base_url"] = f"http://127.0.0.1:{port}"
        with running(settings, tmp_path, more=(option,)) as process:
            assert requested.wait(TIMEOUT_SECONDS)
            process.terminate()
            _, stderr = process.communicate()
    (line,) = error_lines(stderr.decode())
    assert line.endswith("Stopped by SIGTERM")
    assert process.returncode == 128 + signal.SIGTERM
