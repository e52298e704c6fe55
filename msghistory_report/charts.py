"""The charts, declared with Vega-Lite. Each function draws the rows of the query with its name."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date, timedelta

import altair as alt

from msghistory_report.database import Row
from msghistory_report.queries import MIN_MESSAGES, OTHERS
from msghistory_report.style import (
    PLOT_WIDTH,
    STATUSES,
    age_axis,
    bars_per_day,
    channel_colour,
    chart,
    data,
    day_axis,
    status_colour,
)

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_COMPLETENESS = {
    "complete": "var(--good)",
    "1 to 9 missing": "var(--warning)",
    "10 or more missing": "var(--bad)",
}
_DURATIONS = {
    1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 36_000: "10 h", 86_400: "1 d",
    864_000: "10 d",
}  # fmt: skip
_MIN_SQUARE, _MAX_SQUARE, _SPACING = 14, 24, 20
"""Pixels of a day in a calendar, and between calendars."""
_NUMBER_SQUARE = 18
"""Pixels of a square that has place for a number."""

Draw = Callable[[Sequence[Row]], alt.TopLevelMixin]


def volume(rows: Sequence[Row]) -> alt.Chart:
    """Draw messages per day, stacked by channel."""
    return bars_per_day(rows).encode(
        x=day_axis(), y=alt.Y("messages:Q"), color=channel_colour(rows), order="channel:N"
    )


def delivery_rate(rows: Sequence[Row]) -> alt.TopLevelMixin:
    """Draw the delivery rate: a line per channel for seven days, points for the days with enough messages."""
    axis = alt.Axis(format="%", tickCount=6)
    scale = alt.Scale(zero=False)
    base = chart(rows).encode(x=day_axis(), color=channel_colour(rows))
    lines = base.mark_line(strokeWidth=2.5, point={"size": 4, "filled": True}).encode(
        y=alt.Y("weekly_rate:Q", title="delivered", axis=axis, scale=scale)
    )
    points = (
        base.mark_point(size=16, filled=True, opacity=0.6)
        .transform_filter(f"datum.delivered + datum.failed >= {MIN_MESSAGES}")
        .encode(y=alt.Y("delivery_rate:Q", title="delivered", axis=axis, scale=scale))
    )
    return alt.layer(points, lines)


def delivery_time(rows: Sequence[Row]) -> alt.Chart:
    """Draw the distribution of the time to delivery per channel, on a logarithmic scale."""
    labels = " : ".join(f"datum.value == {seconds} ? '{label}'" for seconds, label in _DURATIONS.items())
    centred = [{**row, "seconds": math.sqrt(row["from_seconds"] * row["to_seconds"])} for row in rows]
    return (
        chart(centred)
        .mark_line(interpolate="monotone", point={"size": 18, "filled": True}, strokeWidth=2)
        .encode(
            x=alt.X(
                "seconds:Q",
                scale=alt.Scale(type="log", nice=False),
                title="time from sending to delivery (logarithmic)",
                axis=alt.Axis(values=[*_DURATIONS], labelExpr=f"{labels} : ''"),
            ),
            y=alt.Y(
                "share:Q", title="share of the channel's deliveries", axis=alt.Axis(format="%", tickCount=5)
            ),
            color=channel_colour(rows),
        )
    )


def statuses(rows: Sequence[Row]) -> alt.Chart:
    """Draw the share of each status by the age of the messages."""
    ordered = [{**row, "order": STATUSES.index(row["status"])} for row in rows]
    return (
        chart(ordered)
        .mark_bar(stroke="var(--surface)", strokeWidth=0.5)
        .encode(
            x=alt.X(
                "messages:Q",
                stack="normalize",
                title="share of messages",
                axis=alt.Axis(format="%", tickCount=5),
            ),
            y=age_axis(),
            color=status_colour(rows, "status"),
            order="order:Q",
        )
        .properties(height=alt.Step(32))
    )


def changes(rows: Sequence[Row]) -> alt.Chart:
    """Draw the number of status changes that later syncs saw, by the age of the message."""
    return (
        chart(rows)
        .mark_bar(stroke="var(--surface)", strokeWidth=0.5)
        .encode(
            x=alt.X(
                "sum(messages):Q",
                title="messages by their new status",
                axis=alt.Axis(format=",d", tickCount=6, tickMinStep=1),
            ),
            y=age_axis(),
            color=status_colour(rows, "to_status"),
        )
        .properties(height=alt.Step(32))
    )


def cost(rows: Sequence[Row]) -> alt.Chart:
    """Draw the cost per day, stacked by sender."""
    places = {row["sender"]: row["place"] for row in rows if row["sender"] != OTHERS}
    senders = sorted(places, key=lambda sender: places[sender])
    if any(row["sender"] == OTHERS for row in rows):
        senders.append(OTHERS)
    scale = alt.Scale(domain=senders, range=[f"var(--series-{number})" for number in range(len(senders))])
    return bars_per_day(rows).encode(
        x=day_axis(),
        y=alt.Y("cost:Q"),
        color=alt.Color("sender:N", scale=scale, title=None),
        order="place:Q",
    )


def calendar(rows: Sequence[Row]) -> alt.TopLevelMixin:
    """Draw a calendar per stream: one square per day, coloured by the number of missing messages."""
    days = [
        {
            **row,
            "week": _monday(row["day"]),
            "weekday": _WEEKDAYS[row["day"].weekday()],
            "label": row["stream"].replace("partner_gateway_history_", "gateway ").replace("_history", ""),
            "result": _completeness(row["missing"]),
            "text": f"{row['day']}: {row['in_ledger']} in the ledger, {row['missing']} missing",
        }
        for row in rows
    ]
    first, last = min(row["week"] for row in days), max(row["week"] for row in days)
    weeks = [first + timedelta(days=7 * number) for number in range((last - first).days // 7 + 1)]
    columns, square = _calendar_layout(len({row["stream"] for row in rows}), len(weeks))
    base = alt.Chart().encode(
        x=alt.X(
            "week:O",
            title=None,
            scale=alt.Scale(domain=[f"{week}T00:00:00" for week in weeks]),
            axis=alt.Axis(labelAngle=0, labelExpr="timeFormat(toDate(datum.value), '%d %b')", ticks=False),
        ),
        y=alt.Y("weekday:O", sort=[*_WEEKDAYS], title=None, axis=alt.Axis(ticks=False, labelSeparation=0)),
    )
    squares = base.mark_rect(stroke="var(--surface)", strokeWidth=1.5).encode(
        color=alt.Color(
            "result:N",
            scale=alt.Scale(domain=[*_COMPLETENESS], range=[*_COMPLETENESS.values()]),
            title=None,
        ),
        description="text:N",
    )
    numbers = (
        base.mark_text(fontSize=9, fontWeight="bold", color="var(--on-bad)")
        .transform_filter("datum.missing > 0")
        .encode(text=alt.Text("missing:Q", format=".2~s"))
    )
    layers = [squares, numbers] if square >= _NUMBER_SQUARE else [squares]
    return (
        alt.layer(*layers)
        .properties(width=square * len(weeks), height=square * 7)
        .facet(facet=alt.Facet("label:N", title=None), columns=columns, spacing=_SPACING, data=data(days))
    )


def failing_senders(rows: Sequence[Row]) -> alt.Chart:
    """Draw the failure rate of the senders that fail most."""
    named = [{**row, "label": f"{row['sender']}, {row['channel']}"} for row in rows]
    return (
        chart(named)
        .mark_bar(color="var(--status-undelivered)")
        .encode(
            x=alt.X("failure_rate:Q", title="failed", axis=alt.Axis(format="~%", tickCount=6)),
            y=alt.Y("label:N", sort=None, title=None, axis=alt.Axis(labelSeparation=0)),
        )
        .properties(height=alt.Step(26))
    )


def _calendar_layout(streams: int, weeks: int) -> tuple[int, float]:
    """Return the number of calendars side by side, and the pixels of a day."""
    for columns in range(min(4, streams), 1, -1):
        square = ((PLOT_WIDTH + _SPACING) / columns - _SPACING) / weeks
        if square >= _MIN_SQUARE:
            return columns, min(_MAX_SQUARE, square)
    return 1, min(_MAX_SQUARE, PLOT_WIDTH / weeks)


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _completeness(missing: int) -> str:
    if missing == 0:
        return "complete"
    return "1 to 9 missing" if missing < 10 else "10 or more missing"  # noqa: PLR2004 - as in the text
