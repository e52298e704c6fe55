"""Starts the server, says where it is, and asks it what it has been asked."""

from __future__ import annotations

import http.client
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from demo.processes import CommandError, running

REPOSITORY = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
SINCE = datetime(2025, 1, 1, tzinfo=timezone.utc)
YEAR = timedelta(days=365)
"""As much as edna answers in one range."""


class Counts(msgspec.Struct):
    """What has been asked for."""

    requests: int = 0
    probes: int = 0
    rows: int = 0
    largest_offset: int = 0
    offset_cost_ms: float = 0
    """The time that skipping rows has taken in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is served, and how slowly; `messages` of edna and of the gateway's SMS channel, each."""

    messages: int
    since: datetime = SINCE
    span: timedelta = YEAR
    latency_ms: float = 0
    offset_cost_ms: float = 0
    """For each 1000 rows skipped."""


@dataclass(frozen=True, slots=True)
class Served:
    """A history, and where it is served."""

    history: History
    url: str
    start_date: str = field(default=SINCE.isoformat())
    end_date: str = field(default=(SINCE + YEAR).isoformat())

    def counts(self) -> Counts:
        """Return what was asked for since this was last called."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc)
        try:
            connection.request("GET", "/counts")
            return msgspec.json.decode(connection.getresponse().read(), type=Counts)
        finally:
            connection.close()


@contextmanager
def serve(history: History) -> Iterator[Served]:
    """Serve a history from a process of its own; CommandError if that does not start."""
    command = [
        sys.executable, "-m", "bench.server",
        f"--messages={history.messages}",
        f"--since-ms={round(history.since.timestamp() * 1000)}",
        f"--span-ms={history.span // timedelta(milliseconds=1)}",
        f"--latency-ms={history.latency_ms}",
        f"--offset-cost-ms={history.offset_cost_ms}",
    ]  # fmt: skip
    with running(command, stdout=subprocess.PIPE, cwd=REPOSITORY) as process:
        url = process.stdout.readline().decode().strip() if process.stdout else ""
        if not url:
            raise CommandError("the benchmarks' server does not start")
        yield Served(history, url)
