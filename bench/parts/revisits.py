"""Rows that an hourly sync reads for fresh statuses: with the revisits, and with a lookback. A simulation."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from statistics import median, quantiles

from bench.report import Claim, Section
from bench.scale import Scale
from msghistory_sandbox.generate import edna_messages
from msghistory_sandbox.history import Message
from tap_msghistory.config.settings import SETTINGS
from tap_msghistory.planning.bookmarks import Bookmark
from tap_msghistory.planning.plan import Schedule, advance, plan
from tap_msghistory.timestamps import setting_to_duration

HOUR = timedelta(hours=1)
FOLLOWED = timedelta(days=30)
HOURLY = timedelta(days=60)
START = datetime(2025, 1, 1, tzinfo=timezone.utc)
FIRST_RUN = START + FOLLOWED
END = FIRST_RUN + HOURLY
AGES = SETTINGS["properties"]["revisit_after"]["default"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the hourly runs read, and when they saw the last statuses that the messages took meanwhile."""

    rows: int
    caught: int
    waits_ms: list[int]
    """From the beginning of a status to the run that saw it, ascending."""

    def cells(self, new: int, last: int) -> list[str]:
        """Return the figures, where there were so many new messages and so many last statuses to catch."""
        times = median(self.waits_ms), quantiles(self.waits_ms, n=20)[-1], self.waits_ms[-1]
        share = f"{self.caught / last:.2%}"
        return [
            f"{self.rows:,}",
            f"{self.rows / new:.1f}",
            share,
            *(f"{it / 3_600_000:.1f} h" for it in times),
        ]


def run(scale: Scale) -> Section:
    """Plan every run of 60 days both ways, and look which statuses are seen."""
    messages = edna_messages(count=scale.revisits, seed=0, days=(END - START).days, end_ms=_epoch_ms(END))
    new = sum(message.sent_ms > _epoch_ms(FIRST_RUN) for message in messages)
    last = sum(map(_is_to_be_caught, messages))
    revisits = _hourly(messages, Schedule(START, revisit_after=tuple(map(setting_to_duration, AGES))))
    lookback = _hourly(messages, Schedule(START, lookback=FOLLOWED))
    return Section(
        "Rows read for fresh statuses",
        f"{len(messages):,} edna messages in {(END - START).days} days, whose statuses settle in seconds, "
        f"hours or days. After a first sync of {FOLLOWED.days} days, one every hour for {HOURLY.days}: with "
        f"the default `revisit_after` ({', '.join(AGES)}), and with a `lookback` of {FOLLOWED.days} days "
        "instead. A simulation, with the tap's own plan.",
        ["", "rows read", "rows a new message", "last statuses caught", "after, median", "95%", "at most"],
        [
            ["revisit_after", *revisits.cells(new, last)],
            ["lookback", *lookback.cells(new, last)],
        ],
        [
            Claim(
                "The revisits catch the same last statuses, some later, with fewer rows",
                f"{revisits.rows / lookback.rows:.1%} of the lookback's",
                revisits.caught == lookback.caught and revisits.rows < lookback.rows,
            )
        ],
    )


def _hourly(messages: list[Message], schedule: Schedule) -> Outcome:
    """Let a sync run every hour by a schedule."""
    sent = [message.sent_ms for message in messages]
    moments: list[list[int]] = [[] for _ in messages]
    rows = 0
    for now, indices in _reads(sent, schedule):
        now_ms = _epoch_ms(now)
        for index in indices:
            moments[index].append(now_ms)
        if now > FIRST_RUN:
            rows += len(indices)
    waits = [
        read[caught] - settled
        for message, read in zip(messages, moments, strict=True)
        if _is_to_be_caught(message)
        if (caught := bisect_left(read, settled := _settles_ms(message))) < len(read)
    ]
    return Outcome(rows, len(waits), sorted(waits))


def _reads(sent: list[int], schedule: Schedule) -> Iterator[tuple[datetime, range]]:
    """Yield for each window of each run the moment, and the messages that it holds."""
    bookmark = Bookmark(START, START)
    now = FIRST_RUN
    while now <= END:
        for window in plan(bookmark, now, schedule):
            yield now, range(*(bisect_right(sent, _epoch_ms(it)) for it in (window.start, window.end)))
            bookmark = advance(bookmark, window, now, schedule)
        now += HOUR


def _settles_ms(message: Message) -> int:
    """Return when a message takes its last status."""
    return message.sent_ms + message.lifecycle[-1][0]


def _is_to_be_caught(message: Message) -> bool:
    """Whether a message settles during the hourly runs, and comes to the last age by their end."""
    is_followed = message.sent_ms <= _epoch_ms(END - FOLLOWED - HOUR)
    return is_followed and _settles_ms(message) > _epoch_ms(FIRST_RUN)


def _epoch_ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
