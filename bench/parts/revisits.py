"""Simulation: rows that an hourly sync reads to update statuses, with revisits and with a lookback."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from statistics import median, quantiles

from bench.report import Section, Target
from bench.scale import Scale
from msghistory_sandbox.generate import edna_messages
from msghistory_sandbox.history import Message
from tap_msghistory.config.settings import SETTINGS
from tap_msghistory.planning.bookmarks import Bookmark
from tap_msghistory.planning.plan import Schedule, advance, plan
from tap_msghistory.timestamps import parse_duration

HOUR = timedelta(hours=1)
FOLLOW_UP = timedelta(days=30)
"""Age up to which statuses are updated, and the period of the first sync."""
PERIOD = timedelta(days=60)
"""Period of hourly syncs after the first one."""
START = datetime(2025, 1, 1, tzinfo=timezone.utc)
FIRST_RUN = START + FOLLOW_UP
END = FIRST_RUN + PERIOD
AGES = SETTINGS["properties"]["revisit_after"]["default"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Rows read by the hourly runs, and the final statuses that they found."""

    rows: int
    found: int
    """Number of final statuses found."""
    delays_ms: list[int]
    """Time from the change to the final status until the run that read it, ascending."""

    def cells(self, new: int, final: int) -> list[str]:
        """Return the numbers of the table's row; `new` messages are new and have `final` statuses to find."""
        delays = median(self.delays_ms), quantiles(self.delays_ms, n=20)[-1], self.delays_ms[-1]
        share = f"{self.found / final:.2%}"
        return [
            f"{self.rows:,}",
            f"{self.rows / new:.1f}",
            share,
            *(f"{delay / 3_600_000:.1f} h" for delay in delays),
        ]


def run(scale: Scale) -> Section:
    """Plan all runs of the period in both ways, and compare the statuses that they find."""
    messages = edna_messages(count=scale.revisits, seed=0, days=(END - START).days, end_ms=_epoch_ms(END))
    new = sum(message.sent_ms > _epoch_ms(FIRST_RUN) for message in messages)
    final = sum(map(_settles_in_period, messages))
    revisits = _hourly(messages, Schedule(START, revisit_after=tuple(map(parse_duration, AGES))))
    lookback = _hourly(messages, Schedule(START, lookback=FOLLOW_UP))
    return Section(
        "Rows read to update statuses",
        f"{len(messages):,} edna messages in {(END - START).days} days, whose statuses become final after "
        f"seconds, hours or days. A first sync of {FOLLOW_UP.days} days is followed by one per hour for "
        f"{PERIOD.days} days: with the default `revisit_after` ({', '.join(AGES)}), and instead with a "
        f"`lookback` of {FOLLOW_UP.days} days. A simulation with the tap's own planning.",
        ["", "rows read", "rows per new message", "final statuses found", "median delay", "95%", "maximum"],
        [
            ["revisit_after", *revisits.cells(new, final)],
            ["lookback", *lookback.cells(new, final)],
        ],
        [f"Rows read with `revisit_after`, relative to `lookback`: {revisits.rows / lookback.rows:.1%}"],
        [
            Target(
                "Revisits find the same final statuses with fewer rows",
                f"{revisits.rows / lookback.rows:.1%} of the rows",
                revisits.found == lookback.found and revisits.rows < lookback.rows,
            )
        ],
    )


def _hourly(messages: list[Message], schedule: Schedule) -> Outcome:
    """Simulate a sync per hour with a schedule."""
    sent = [message.sent_ms for message in messages]
    read_at: list[list[int]] = [[] for _ in messages]
    rows = 0
    for now, indices in _reads(sent, schedule):
        now_ms = _epoch_ms(now)
        for index in indices:
            read_at[index].append(now_ms)
        if now > FIRST_RUN:
            rows += len(indices)
    delays = [
        times[index] - settled
        for message, times in zip(messages, read_at, strict=True)
        if _settles_in_period(message)
        if (index := bisect_left(times, settled := _settled_ms(message))) < len(times)
    ]
    return Outcome(rows, len(delays), sorted(delays))


def _reads(sent: list[int], schedule: Schedule) -> Iterator[tuple[datetime, range]]:
    """Yield the time of the run and the indices of the messages, for each window of each run."""
    bookmark = Bookmark(START, START)
    now = FIRST_RUN
    while now <= END:
        for window in plan(bookmark, now, schedule):
            yield now, range(*(bisect_right(sent, _epoch_ms(bound)) for bound in (window.start, window.end)))
            bookmark = advance(bookmark, window, now, schedule)
        now += HOUR


def _settled_ms(message: Message) -> int:
    """Return the time (epoch ms) of the change to the final status."""
    return message.sent_ms + message.lifecycle[-1][0]


def _settles_in_period(message: Message) -> bool:
    """Return whether the status becomes final during the hourly runs, early enough for the last revisit."""
    is_revisited = message.sent_ms <= _epoch_ms(END - FOLLOW_UP - HOUR)
    return is_revisited and _settled_ms(message) > _epoch_ms(FIRST_RUN)


def _epoch_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
