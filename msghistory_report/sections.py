"""The sections of the report: a question, the query that answers it, a chart and the columns of a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msghistory_report import charts, queries
from msghistory_report.charts import Draw
from msghistory_report.database import Row
from msghistory_report.formats import Column, counted, money, number, percent


@dataclass(frozen=True, slots=True)
class Section:
    """One chart with its table. `summary` returns its main result in a sentence, from at least one row."""

    id: str
    title: str
    question: str
    query: str
    draw: Draw
    columns: tuple[Column, ...]
    summary: Callable[[Sequence[Row]], str]
    empty: str
    requires: str | None = None  #: an optional mart


def _volume(rows: Sequence[Row]) -> str:
    channels: Counter[str] = Counter()
    for row in rows:
        channels[row["channel"]] += int(row["messages"])
    days = len({row["day"] for row in rows})
    parts = ", ".join(f"{channel} {number(count)}" for channel, count in channels.most_common())
    return f"{counted(channels.total(), 'message')} on {counted(days, 'day')}: {parts}."


def _delivery_rate(rows: Sequence[Row]) -> str:
    delivered: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    for row in rows:
        delivered[row["channel"]] += int(row["delivered"])
        ended[row["channel"]] += int(row["delivered"]) + int(row["failed"])
    rates = ", ".join(
        f"{channel} {percent(delivered[channel] / ended[channel])}" for channel in sorted(ended)
    )
    return f"Of the messages with an outcome, delivered: {rates}."


def _delivery_time(rows: Sequence[Row]) -> str:
    shares: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    for row in rows:
        totals[row["channel"]] += int(row["messages"])
        shares[row["channel"]] += int(row["within_minute"])
    parts = ", ".join(f"{channel} {percent(shares[channel] / totals[channel])}" for channel in sorted(totals))
    return f"Delivered within a minute: {parts}."


def _statuses(rows: Sequence[Row]) -> str:
    unfinished = sum(int(row["messages"]) for row in rows if row["status"] in {"accepted", "sent", "unknown"})
    old = sum(
        int(row["messages"])
        for row in rows
        if row["status"] in {"accepted", "sent", "unknown"} and row["age"] == queries.AGES[-1]
    )
    return (
        f"Messages without an outcome yet: {number(unfinished)}, of which {number(old)} are over 30 days old."
    )


def _changes(rows: Sequence[Row]) -> str:
    total = sum(int(row["messages"]) for row in rows)
    return (
        f"Later syncs saw {counted(total, 'status change')}. A sync that reads only new messages would have "
        "seen none of them."
    )


def _cost(rows: Sequence[Row]) -> str:
    total = sum(float(row["cost"]) for row in rows)
    return f"{money(total)} in total, by {counted(rows[0]['senders'], 'sender')}."


def _calendar(rows: Sequence[Row]) -> str:
    missing = sum(int(row["missing"]) for row in rows)
    loaded = sum(int(row["in_warehouse"]) for row in rows)
    if missing == 0:
        return f"Complete: the warehouse has all {number(loaded)} messages that the ledger counted."
    return f"{counted(missing, 'message')} missing from the warehouse, which contains {number(loaded)}."


def _failing(rows: Sequence[Row]) -> str:
    worst = rows[0]
    return f"Highest failure rate: {worst['sender']}, {worst['channel']}, {percent(worst['failure_rate'])}."


_DAY, _CHANNEL, _SENDER = Column("day", "Day (UTC)"), Column("channel", "Channel"), Column("sender", "Sender")
_MESSAGES = Column("messages", "Messages", "number")

SECTIONS = (
    Section(
        "volume", "Messages per day", "How many messages were sent, through which channel?",
        queries.VOLUME, charts.volume, (_DAY, _CHANNEL, _MESSAGES), _volume,
        "No outgoing messages in this period.",
    ),
    Section(
        "delivery-rate", "Delivery rate",
        "Which share of the messages with an outcome was delivered? Lines: the seven days up to each day. "
        f"Points: single days with at least {queries.MIN_MESSAGES} outcomes.",
        queries.DELIVERY_RATE, charts.delivery_rate,
        (_DAY, _CHANNEL, Column("delivered", "Delivered", "number"), Column("failed", "Failed", "number"),
         Column("delivery_rate", "Delivery rate", "percent"),
         Column("weekly_rate", "7 days", "percent")),
        _delivery_rate, "No message has an outcome in this period.",
    ),
    Section(
        "delivery-time", "Time to delivery", "How long after sending were messages delivered?",
        queries.DELIVERY_TIME, charts.delivery_time,
        (_CHANNEL, Column("from_seconds", "From", "duration"), Column("to_seconds", "To", "duration"),
         _MESSAGES, Column("share", "Share", "percent")),
        _delivery_time, "The time of delivery is known for no message in this period.",
    ),
    Section(
        "statuses", "Statuses by age", "Do messages reach a final status?",
        queries.STATUSES, charts.statuses,
        (Column("age", "Age"), Column("status", "Status"), _MESSAGES), _statuses, "No outgoing messages.",
    ),
    Section(
        "changes", "What the revisits caught", "Which statuses changed after a message was first read?",
        queries.CHANGES, charts.changes,
        (Column("age", "Age"), Column("from_status", "From"), Column("to_status", "To"), _MESSAGES), _changes,
        "No change was recorded. To record changes, set the dbt variable msghistory_status_history.",
        requires=queries.STATUS_CHANGES,
    ),
    Section(
        "cost", "Cost per day and sender", "What do messages cost?",
        queries.COST, charts.cost, (_DAY, _SENDER, Column("cost", "Cost", "money")), _cost,
        "The vendor reported no cost in this period.",
    ),
    Section(
        "completeness", "Completeness", "Does the warehouse have all messages that the ledger counted?",
        queries.CALENDAR, charts.calendar,
        (_DAY, Column("stream", "Stream"), Column("in_ledger", "In the ledger", "number"),
         Column("in_warehouse", "In the warehouse", "number"), Column("missing", "Missing", "number")),
        _calendar, "The warehouse has no messages in this period.",
    ),
    Section(
        "failing-senders", "Senders with the most failures",
        f"Which senders fail most often, of those with at least {queries.MIN_MESSAGES} outcomes?",
        queries.FAILING_SENDERS, charts.failing_senders,
        (_SENDER, _CHANNEL, Column("sent", "Sent", "number"), Column("failed", "Failed", "number"),
         Column("failure_rate", "Failure rate", "percent")),
        _failing, "No sender with enough messages has failures in this period.",
    ),
)  # fmt: skip
