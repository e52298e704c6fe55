"""`make demo`: two vendors' message histories in PostgreSQL, at first all, then what a day brought."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone

import psycopg

from demo import report
from demo.pipeline import pipeline
from demo.postgres import warehouse
from demo.processes import CommandError, interruptible
from msghistory_sandbox.clock import Clock
from msghistory_sandbox.server import Sandbox

MESSAGES = 20_000
"""Of each vendor."""
DAYS = 40
DAY = timedelta(days=1)


def main() -> int:
    """Run the demo; returns the exit code."""
    try:
        with interruptible():
            _demo()
    except KeyboardInterrupt:
        print("Stopped. Nothing is left behind.", file=sys.stderr)
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
        house = stack.enter_context(warehouse())
        say(f"Sandbox: {MESSAGES:,} messages of each vendor in {DAYS} days; its clock is at yesterday")
        say(f"PostgreSQL {house.connection.info.server_version // 10_000}: empty")
        say("Meltano installs tap-msghistory and target-postgres")
        start_date = (now - timedelta(days=DAYS)).isoformat()
        road = stack.enter_context(pipeline(sandbox, house, start_date=start_date))

        say("First sync: everything until yesterday")
        _timed(sandbox, lambda: road.sync(end_date=yesterday.isoformat()))
        report.remember(house)

        sandbox.clock.advance(DAY.total_seconds())
        say("A day goes by in the sandbox: new messages come in, statuses move")
        say("Second sync: what is new, and each message that has come to an age at which it is revisited")
        _timed(sandbox, road.sync)

        for title, question in (
            ("By channel and status", report.BY_STATUS),
            ("What the second sync brought", report.BROUGHT),
            ("Statuses that it changed", report.MOVED),
            *report.completeness(house),
        ):
            print(f"\n{title}\n\n{report.table(house, question)}")
    print("\nThe servers, the tables and the Meltano project were temporary, and are gone.")


def _timed(sandbox: Sandbox, sync: Callable[[], None]) -> None:
    """Run a sync and say what it took."""
    began, before = time.monotonic(), len(sandbox.journal.requests)
    sync()
    seconds, requests = time.monotonic() - began, len(sandbox.journal.requests) - before
    say(f"  took {requests} requests and {seconds:.0f} s, start of Meltano, tap and target included")


def _epoch_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def say(line: str) -> None:
    """Tell the story, at once also where stdout is no terminal."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
