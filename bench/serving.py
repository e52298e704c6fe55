"""Start the benchmark server, and read its request counts."""

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
"""Within the 366 days that edna accepts in one request."""


class Counts(msgspec.Struct):
    """Requests that the server received."""

    requests: int = 0
    probes: int = 0
    rows: int = 0
    largest_offset: int = 0
    offset_cost_ms: float = 0
    """Total delay for skipped rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Size and timing of the served histories: `messages` of edna, and as many SMS of the gateway."""

    messages: int
    since: datetime = SINCE
    span: timedelta = YEAR
    latency_ms: float = 0
    offset_cost_ms: float = 0
    """Additional delay per 1000 skipped rows."""


@dataclass(frozen=True, slots=True)
class Served:
    """A served history and its URL."""

    history: History
    url: str
    start_date: str = field(default=SINCE.isoformat())
    end_date: str = field(default=(SINCE + YEAR).isoformat())

    def counts(self) -> Counts:
        """Return the counts since the previous call, and reset them."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc)
        try:
            connection.request("GET", "/counts")
            return msgspec.json.decode(connection.getresponse().read(), type=Counts)
        finally:
            connection.close()


@contextmanager
def serve(history: History) -> Iterator[Served]:
    """Serve a history from a separate process. Raises CommandError if it does not start."""
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
            raise CommandError("the benchmark server did not start")
        yield Served(history, url)
