"""Requests and time to compare a warehouse with the vendor, by day."""

from __future__ import annotations

import csv
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bench.commands import Vendor, temporary_commands
from bench.messages import Spread
from bench.report import Section, Target
from bench.scale import Scale
from bench.serving import REPOSITORY, SINCE, YEAR, History, Served, serve
from demo.processes import Command, CommandError

DAY = timedelta(days=1)
#: The history has this many times the messages of the longest history of the part growth.
LENGTH = 50
SMALL_DAY = 5_000
"""Messages per day of a history whose days are counted with one request each."""
MAX_REQUESTS_PER_RANGE = 1.05
MAX_REQUESTS_PER_WINDOW = 1.05
WINDOW = 9_900
"""Messages that are counted with one request."""
MAX_MORE_REQUESTS = 60
"""Additional requests if one message is missing."""
EQUAL, DIFFERENT = 0, 3
"""Exit codes of the command."""

Day = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Run:
    """The number of requests and the time of one check."""

    messages: int
    requests: int
    wall_s: float
    largest_offset: int

    def cells(self) -> list[str]:
        """Return the numbers of the table's row."""
        return [f"{self.messages:,}", f"{self.requests:,}", f"{self.wall_s:.1f}", f"{self.largest_offset:,}"]


def run(scale: Scale) -> Section:
    """Check histories with small and with large days: equal, and with one message missing."""
    small, large = SMALL_DAY * (YEAR // DAY), LENGTH * scale.growth[-1]
    runs = {
        **_runs("edna, small days", "edna", small),
        **_runs("gateway, small days", "gateway", small),
        **_runs("edna, large days", "edna", large),
    }
    equal, missing = runs["edna, large days"], runs["edna, large days, one message missing"]
    per_range = runs["edna, small days"].requests / (YEAR // DAY)
    per_window = equal.requests / (large / WINDOW)
    more = missing.requests - equal.requests
    return Section(
        "Comparing a warehouse with the vendor",
        f"`--reconcile` with the {YEAR // DAY} days of a year, without the gateway's limit of 1,000 requests "
        "per minute.",
        ["", "messages", "requests", "wall s", "largest offset"],
        [[name, *run.cells()] for name, run in runs.items()],
        [
            f"Requests per day of {SMALL_DAY:,} messages: {per_range:.2f}",
            f"Requests per {WINDOW:,} messages of large days: {per_window:.2f}",
            f"Additional requests if one message of {large:,} is missing: {more}",
        ],
        [
            Target(
                f"At most {MAX_REQUESTS_PER_RANGE} requests per small day",
                f"{per_range:.2f}",
                per_range <= MAX_REQUESTS_PER_RANGE,
            ),
            Target(
                f"At most {MAX_REQUESTS_PER_WINDOW} requests per {WINDOW:,} messages, and one per day",
                f"{per_window:.2f}",
                equal.requests <= MAX_REQUESTS_PER_WINDOW * large / WINDOW + YEAR // DAY,
            ),
            Target(
                f"At most {MAX_MORE_REQUESTS} more requests for one missing message",
                f"{more}",
                more <= MAX_MORE_REQUESTS,
            ),
        ],
    )


def _runs(name: str, vendor: Vendor, messages: int) -> dict[str, Run]:
    """Check a history twice; the second time, the warehouse lacks a message."""
    days = _days(messages)
    start, end, count = days[100]
    lacking = [*days[:100], (start, end, count - 1), *days[101:]]
    with serve(History(messages=messages)) as served:
        return {
            name: _check(served, vendor, days, EQUAL),
            f"{name}, one message missing": _check(served, vendor, lacking, DIFFERENT),
        }


def _days(messages: int) -> list[Day]:
    """Return the start, the end and the number of messages of each day."""
    spread = Spread(messages, round(SINCE.timestamp() * 1000), YEAR // timedelta(milliseconds=1))
    days = []
    for number in range(YEAR // DAY):
        start = SINCE + number * DAY
        start_ms = round(start.timestamp() * 1000)
        count = len(spread.between(start_ms + 1, start_ms + DAY // timedelta(milliseconds=1)))
        days.append((start.isoformat(), (start + DAY).isoformat(), count))
    return days


def _check(served: Served, vendor: Vendor, days: Sequence[Day], exit_code: int) -> Run:
    """Run the command. Raises CommandError unless it exits with `exit_code`."""
    stream = "edna_history" if vendor == "edna" else "partner_gateway_history_sms"
    with temporary_commands() as commands:
        file = commands.directory / "ranges.csv"
        _write(file, stream, days)
        command: Command = [*commands.tap(served, vendor), "--reconcile", file]
        served.counts()
        started_at = time.perf_counter()
        finished = subprocess.run(  # noqa: S603 - the project's own command
            command, capture_output=True, text=True, check=False, cwd=REPOSITORY
        )
        wall_s = time.perf_counter() - started_at
    if finished.returncode != exit_code:
        raise CommandError(f"--reconcile exited with {finished.returncode}:\n{finished.stderr}")
    counts = served.counts()
    return Run(sum(count for _, _, count in days), counts.requests, wall_s, counts.largest_offset)


def _write(file: Path, stream: str, days: Sequence[Day]) -> None:
    with file.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(("stream", "from", "to", "messages"))
        writer.writerows((stream, *day) for day in days)
