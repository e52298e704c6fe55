"""`make demo`: load two vendors' message histories into PostgreSQL, with a first and an incremental sync.

dbt builds models after each sync, and a page with charts is made from them. Then lose messages, find them by
comparing with the vendors, and read them again.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path

import psycopg
from psycopg import sql

from demo import report
from demo.pipeline import BUILD_MODELS, pipeline
from demo.postgres import warehouse
from demo.processes import CommandError, interruptible
from msghistory_sandbox.clock import Clock
from msghistory_sandbox.server import Sandbox

MESSAGES = 20_000
"""Per vendor."""
DAYS = 40
LOST_MESSAGES = 3
PAGE = Path("delivery-report.html").resolve()
DAY = timedelta(days=1)


def main() -> int:
    """Run the demo and return the exit code."""
    try:
        with interruptible():
            _demo()
    except KeyboardInterrupt:
        print("Stopped. All temporary files and servers were removed.", file=sys.stderr)
        return 130
    except (CommandError, OSError, ValueError, psycopg.Error) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _demo() -> None:
    now = datetime.now(timezone.utc)
    yesterday = now - DAY
    sandbox = Sandbox.generate(
        messages=MESSAGES,
        days=DAYS,
        end_ms=_epoch_ms(now),
        unknown_rate=0.01,
        clock=Clock(_epoch_ms(yesterday)),
    )
    with ExitStack() as stack:
        stack.enter_context(sandbox.serve())
        database = stack.enter_context(warehouse())
        print_step(
            f"Sandbox: {MESSAGES:,} messages per vendor, sent in {DAYS} days; its clock shows yesterday"
        )
        print_step(f"PostgreSQL {database.connection.info.server_version // 10_000}: empty")
        print_step("Meltano installs tap-msghistory, target-postgres and dbt")
        start_date = (now - timedelta(days=DAYS)).isoformat()
        project = stack.enter_context(
            pipeline(sandbox, database, start_date=start_date, more_plugins=["dbt-postgres"])
        )

        print_step("First sync: all messages until yesterday; then dbt build")
        _timed(sandbox, lambda: project.sync(BUILD_MODELS, end_date=yesterday.isoformat()))

        sandbox.clock.advance(DAY.total_seconds())
        print_step("One day passes in the sandbox: new messages are sent, statuses change")
        print_step(
            "Second sync: new messages, and messages that reached an age in revisit_after; then dbt build"
        )
        _timed(sandbox, lambda: project.sync(BUILD_MODELS))
        print_step("  dbt built all models, and all of its tests passed")

        queries: list[tuple[str, sql.SQL | sql.Composed]] = [
            *report.models(database),
            *report.completeness(database),
        ]
        for title, query in queries:
            print(f"\n{title}\n\n{report.table(database, query)}")
        report.write_page(database, PAGE)
        print_step(f"\nDelivery report: {PAGE}")

        print_step(f"\nThe warehouse loses {LOST_MESSAGES} messages; it is compared with the vendors")
        report.delete_messages(database, LOST_MESSAGES)
        found = project.reconcile(report.counts(database))
        print(f"\n{found}\n")
        print_step("Third sync, with that setting; then they are compared again")
        project.sync(reread=found.rpartition("\n")[2])
        print(f"\n{project.reconcile(report.counts(database))}")
    print("\nThe servers, the tables and the Meltano project were temporary and have been deleted.")
    print(f"The delivery report remains. Open it in a browser: {PAGE}")


def _timed(sandbox: Sandbox, sync: Callable[[], None]) -> None:
    """Run a sync and a build, and print their duration and the number of requests."""
    started_at, requests_before = time.monotonic(), len(sandbox.journal.requests)
    sync()
    seconds = time.monotonic() - started_at
    requests = len(sandbox.journal.requests) - requests_before
    print_step(
        f"  {requests} requests, {seconds:.0f} s including the startup of Meltano, tap, target and dbt"
    )


def _epoch_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def print_step(line: str) -> None:
    """Print a line immediately, also when standard output is not a terminal."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
