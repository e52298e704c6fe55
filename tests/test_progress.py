"""Progress of a run: on a terminal, in the log, and in the summary; and the plan of a run."""

from __future__ import annotations

import io
import json
import logging
import math
import os
import pty
import re
import threading
from datetime import timedelta

import pytest
from rich.console import Console

from tap_msghistory.cli.display import log_heartbeat, table
from tap_msghistory.planning.windows import Reason, Window
from tap_msghistory.syncing.progress import HEARTBEAT_SECONDS, Progress
from tests.processes import environment, run, running, whole_lines
from tests.support import END, EXPORT, STREAMS, config, iso, selecting

HOUR = timedelta(hours=1)
REVISITED = Window(END - 9 * HOUR, END - 8 * HOUR, Reason.REVISIT)
NEW = Window(END - 3 * HOUR, END, Reason.NEW)


@pytest.fixture
def half_way():
    """The progress of a stream that has read one of four hours in ten seconds, with waits."""
    seconds = [0.0]
    progress = Progress(clock=lambda: seconds[0])
    stream = progress.start("edna_history", [REVISITED, NEW])
    stream.add_messages(1_200, Reason.REVISIT)
    stream.add_window(REVISITED)
    stream.rejected = 3
    for requests in (1, 3):  # one window has been read, the other is being read
        stats = progress.new_stats(threading.Event())
        stats.requests, stats.retries, stats.throttled_seconds = requests, requests // 2, requests / 2
    stream.add_messages(300, Reason.NEW)
    seconds[0] = 10.0
    return progress


def test_a_progress_line_has_position_count_rate_and_remaining_time(half_way):
    assert half_way.describe() == (
        "edna_history: up to 2024-11-03 04:00 (UTC), 1,500 messages, 150 per second, 0:00:30 left, "
        "2 s rate-limited"
    )


def test_the_remaining_time_is_unknown_before_the_first_window():
    progress = Progress(clock=lambda: 0.0)
    assert progress.describe() == "nothing has been read yet"
    progress.start("edna_history", [NEW])
    assert "up to the start (UTC), 0 messages, 0 per second, unknown left" in progress.describe()


def test_the_summary_counts_messages_by_reason_and_requests(half_way):
    assert half_way.summary() == [
        (
            "edna_history: 1,500 messages (300 new, 1,200 revisited), 3 rejected, "
            "4 requests including 1 retries, 2 s rate-limited, up to 2024-11-03 04:00 (UTC)"
        )
    ]


def test_a_failed_run_has_a_summary_too(sandbox, tmp_path):
    sandbox.faults.fail_next = 10**6
    finished = run(config(sandbox, max_retry_seconds=0), tmp_path)
    assert finished.returncode == 1
    assert "edna_history: failed, 0 messages (0 new, 0 revisited), 0 rejected, 1 requests" in finished.stderr


def test_a_heartbeat_is_logged_after_each_wait(half_way, caplog):
    caplog.set_level(logging.INFO)
    waits = iter([False, False, True])
    log_heartbeat(half_way, lambda: next(waits))
    assert [record.getMessage() for record in caplog.records] == [half_way.describe()] * 2
    assert HEARTBEAT_SECONDS <= 30


@pytest.mark.parametrize("width", [80, 140])
def test_the_display_has_one_line_per_stream(half_way, width):
    half_way.start("partner_gateway_history_whatsapp", [NEW]).ended = 10.0
    printed = io.StringIO()
    Console(width=width, file=printed).print(table(half_way.streams, 10.0, width))
    _, edna, whatsapp = printed.getvalue().splitlines()
    assert re.split(r" +", edna.strip(" ━╸╺"))[:7] == [
        "edna_history", "2024-11-03", "04:00", "1,500", "150", "0:00:30", "2s"
    ]  # fmt: skip
    assert whatsapp.startswith("partner_gateway_history_what")
    assert "done" in whatsapp
    assert ("━" in edna) == (width > 80)


def test_the_log_ends_with_a_summary_of_each_stream(life_like, tmp_path):
    finished = run(config(life_like), tmp_path)
    for stream in STREAMS:
        assert re.search(
            rf"{stream}: [\d,]+ messages \([\d,]+ new, 0 revisited\), 0 rejected", finished.stderr
        )
    assert "\x1b" not in finished.stderr


def on_a_terminal(settings, directory, **options):
    """Run the tap with stderr on a terminal; return its stdout and the output to the terminal."""
    own_end, tap_end = pty.openpty()
    try:
        with running(settings, directory, stderr=tap_end, **options) as process:
            os.close(tap_end)
            displayed = b""
            stdout = process.stdout.read()
            try:
                while part := os.read(own_end, 1 << 16):
                    displayed += part
            except OSError:  # the tap has closed the terminal
                pass
    finally:
        os.close(own_end)
    return stdout, displayed.decode()


def test_a_terminal_gets_a_display_and_stdout_only_messages(sandbox, tmp_path):
    stdout, displayed = on_a_terminal(config(sandbox), tmp_path, env=environment(TERM="xterm"))
    assert whole_lines(stdout)[-1]["type"] == "STATE"
    assert b"\x1b" not in stdout
    assert "\x1b[" in displayed
    assert re.search(r"edna_history +2024-11-03 12:00 +0 +0 +done +0s", displayed)
    assert "edna_history: 0 messages" in displayed  # the summary remains


def test_a_closed_terminal_does_not_stop_the_run(sandbox, life_like, tmp_path):
    sandbox.edna.add(*life_like.edna)
    own_end, tap_end = pty.openpty()
    with running(config(sandbox), tmp_path, stderr=tap_end, env=environment(TERM="xterm")) as process:
        os.close(tap_end)
        displayed = b""
        while b"\x1b[" not in displayed:  # the display has started
            displayed += os.read(own_end, 1 << 16)
        os.close(own_end)
        assert whole_lines(process.stdout.read())[-1]["type"] == "STATE"
        assert process.wait() == 0


def test_a_dumb_terminal_gets_lines(sandbox, tmp_path):
    _, displayed = on_a_terminal(config(sandbox), tmp_path, env=environment(TERM="dumb"))
    assert "\x1b" not in displayed
    assert "edna_history: 0 messages" in displayed


# The plan of a run.


def plan(settings, directory, **options):
    finished = run(settings, directory, more=("--plan",), **options)
    rows = [re.split(r" {2,}", line) for line in finished.stdout.split("\n\n")[0].splitlines()]
    return finished, [dict(zip(rows[0], row, strict=False)) for row in rows[1:] if row[0] != "all"]


def test_a_plan_names_ranges_and_reasons_but_emits_nothing(life_like, tmp_path):
    before = len(life_like.requests)
    state = {"bookmarks": {"edna_history": {"replication_key_value": iso(END - 2 * HOUR)}}}
    settings = config(life_like, revisit_after=["P1D"], visibility_lag="PT0S")
    finished, rows = plan(settings, tmp_path, state=state)
    assert finished.returncode == 0
    assert '"type"' not in finished.stdout
    edna = [(row["why"], row["after"], row["up to"]) for row in rows if row["stream"] == "edna_history"]
    assert edna == [
        ("revisit", iso(END - 26 * HOUR), iso(END - 24 * HOUR)),
        ("new", iso(END - 2 * HOUR), iso(END)),
    ]
    assert all(row["requests"].startswith("about ") and row["time"].startswith("about ") for row in rows)
    sent = life_like.requests[before:]
    assert len(sent) <= 6 * len(STREAMS)
    assert all(int(request.params["limit"]) <= 10 for request in sent)
    assert f"Estimated from {len(sent)} small requests" in finished.stdout


def test_a_plan_estimates_the_requests_of_the_sync(life_like, tmp_path):
    settings = config(life_like, page_size=100, partner_gateway_api_key=None)
    _, (row,) = plan(settings, tmp_path)
    before = len(life_like.requests)
    run(settings, tmp_path)
    needed = len(life_like.requests) - before
    assert needed / 2 <= int(row["requests"].removeprefix("about ").replace(",", "")) <= needed * 2


def test_a_plan_of_many_years_is_estimated(life_like, tmp_path):
    """Vendors refuse requests for more than about a year."""
    settings = config(life_like, start_date="2010-01-01", partner_gateway_api_key=None)
    finished, (row,) = plan(settings, tmp_path)
    assert finished.returncode == 0
    assert row["requests"].startswith("about ")


def test_a_plan_without_work_sends_no_request(sandbox, tmp_path):
    state = {"bookmarks": {"edna_history": {"replication_key_value": iso(END)}}}
    settings = config(sandbox, partner_gateway_api_key=None)
    _, (row,) = plan(settings, tmp_path, state=state)
    assert "nothing to read" in row.values()
    assert sandbox.requests == []


def test_a_plan_does_not_estimate_exports(sandbox, tmp_path):
    catalog = tmp_path / "catalog.json"
    catalog.write_text(json.dumps(selecting(EXPORT)))
    settings = config(sandbox, partner_gateway_export=True)
    finished = run(settings, tmp_path, more=("--plan", "--catalog", str(catalog)))
    _, *ranges, total = finished.stdout.split("\n\n")[0].splitlines()
    assert all(line.startswith(EXPORT) and line.endswith("unknown") for line in ranges)
    assert total.startswith("all that is known")
    assert sandbox.requests == []


def test_a_plan_with_a_wrong_key_causes_one_line(sandbox, tmp_path):
    finished, _ = plan(config(sandbox, edna_api_key="wrong"), tmp_path)
    assert finished.returncode == 1
    assert "check edna_api_key" in finished.stderr.splitlines()[-1]


def test_a_plan_estimates_the_time_from_the_rate_limit(life_like, tmp_path):
    settings = config(life_like, page_size=1, edna_requests_per_second=20, partner_gateway_api_key=None)
    _, (row,) = plan(settings, tmp_path)
    requests = int(row["requests"].removeprefix("about ").replace(",", ""))
    assert requests > 6_000
    assert row["time"] == f"about {timedelta(seconds=math.ceil(requests / 20))}"
