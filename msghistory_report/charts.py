"""The charts, as Vega-Lite specifications.

Colours are CSS variables of the page, so one drawing serves light mode, dark mode and print.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import altair as alt

from msghistory_report.database import Row
from msghistory_report.queries import AGES

WIDTH, HEIGHT = 860, 240
"""Pixels of the plotting area."""
SENDERS = 7
"""Senders with a colour of their own in the chart of costs."""
OTHER = "(others)"

CHANNELS = ("SMS", "WHATSAPP", "RCS", "VIBER")
STATUSES = ("read", "delivered", "accepted", "sent", "unknown", "undelivered", "expired", "invalid")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_COMPLETENESS = {
    "complete": "var(--good)",
    "1 to 9 missing": "var(--warning)",
    "10 or more missing": "var(--bad)",
}

Draw = Callable[[Sequence[Row]], alt.TopLevelMixin]


def volume(rows: Sequence[Row]) -> alt.Chart:
    """Draw messages per day, stacked by channel."""
    return _bars_per_day(rows, "messages", "messages", "channel", _channel_scale(rows))


def delivery_rate(rows: Sequence[Row]) -> alt.Chart:
    """Draw the delivery rate per day, a line per channel."""
    return (
        _chart(rows)
        .mark_line(point={"size": 18, "filled": True}, strokeWidth=1.8)
        .encode(
            x=_day_axis(),
            y=alt.Y(
                "delivery_rate:Q", title="delivered", axis=alt.Axis(format="%"), scale=alt.Scale(zero=False)
            ),
            color=alt.Color("channel:N", scale=_channel_scale(rows), title=None),
        )
    )


def delivery_time(rows: Sequence[Row]) -> alt.Chart:
    """Draw the distribution of the time to delivery per channel, on a logarithmic scale."""
    ticks = {
        1: "1 s",
        10: "10 s",
        60: "1 min",
        600: "10 min",
        3600: "1 h",
        36000: "10 h",
        86400: "1 d",
        864000: "10 d",
    }
    labels = " : ".join(f"datum.value == {seconds} ? '{label}'" for seconds, label in ticks.items()) + " : ''"
    return (
        _chart(rows)
        .mark_line(interpolate="monotone", point={"size": 18, "filled": True}, strokeWidth=1.8)
        .encode(
            x=alt.X(
                "from_seconds:Q",
                scale=alt.Scale(type="log"),
                title="time to delivery (logarithmic)",
                axis=alt.Axis(values=[*ticks], labelExpr=labels),
            ),
            y=alt.Y("share:Q", title="share of deliveries", axis=alt.Axis(format="%")),
            color=alt.Color("channel:N", scale=_channel_scale(rows), title=None),
        )
    )


def statuses(rows: Sequence[Row]) -> alt.Chart:
    """Draw the share of each status by the age of the messages."""
    present = [status for status in STATUSES if any(row["status"] == status for row in rows)]
    ordered = [{**row, "order": STATUSES.index(row["status"])} for row in rows]
    return (
        _chart(ordered)
        .mark_bar()
        .encode(
            x=alt.X("messages:Q", stack="normalize", title="share of messages", axis=alt.Axis(format="%", tickCount=5)),
            y=_age_axis(),
            color=_status_colour("status", present),
            order="order:Q",
        )
        .properties(height=alt.Step(30))
    )


def changes(rows: Sequence[Row]) -> alt.Chart:
    """Draw the number of status changes that later syncs saw, by the age of the message."""
    present = [status for status in STATUSES if any(row["to_status"] == status for row in rows)]
    return (
        _chart(rows)
        .mark_bar()
        .encode(
            x=alt.X("sum(messages):Q", title="messages by their new status", axis=alt.Axis(tickMinStep=1)),
            y=_age_axis(),
            color=_status_colour("to_status", present),
        )
        .properties(height=alt.Step(30))
    )


def cost(rows: Sequence[Row]) -> alt.Chart:
    """Draw the cost per day, stacked by sender; the cheapest senders are drawn together."""
    limited = group_others(rows, "sender", "cost", SENDERS)
    senders = sorted({row["sender"] for row in limited}, key=lambda name: (name == OTHER, name))
    scale = alt.Scale(domain=senders, range=[f"var(--series-{number})" for number in range(len(senders))])
    return _bars_per_day(limited, "cost", "cost", "sender", scale)


def calendar(rows: Sequence[Row]) -> alt.FacetChart:
    """Draw a calendar per stream: one square per day, coloured by the number of missing messages."""
    days = [
        {
            **row,
            "week": row["day"] - timedelta(days=row["day"].weekday()),
            "weekday": _WEEKDAYS[row["day"].weekday()],
            "label": row["stream"].replace("partner_gateway_history_", "gateway ").replace("_history", ""),
            "result": _completeness(row["missing"]),
        }
        for row in rows
    ]
    streams = sorted({row["stream"] for row in rows})
    base = alt.Chart().encode(
        x=alt.X(
            "yearmonthdate(week):O",
            title=None,
            axis=alt.Axis(format="%d %b", labelAngle=-90, labelOverlap=True),
        ),
        y=alt.Y("weekday:O", sort=[*_WEEKDAYS], title=None),
    )
    squares = base.mark_rect(stroke="var(--surface)", strokeWidth=1.5).encode(
        color=alt.Color(
            "result:N",
            scale=alt.Scale(domain=[*_COMPLETENESS], range=[*_COMPLETENESS.values()]),
            title=None,
        )
    )
    numbers = (
        base.mark_text(fontSize=9, fontWeight="bold", color="var(--on-bad)")
        .transform_filter("datum.missing > 0")
        .encode(text="missing:Q")
    )
    columns = max(1, min(4, len(streams)))
    width = WIDTH // columns - 60
    return (
        alt.layer(squares, numbers)
        .properties(width=width, height=130)
        .facet(facet=alt.Facet("label:N", title=None), columns=columns, data=alt.Data(values=_plain(days)))
    )


def failing_senders(rows: Sequence[Row]) -> alt.Chart:
    """Draw the failure rate of the senders that fail most."""
    named = [{**row, "label": f"{row['sender'] or '(unknown)'}, {row['channel']}"} for row in rows]
    return (
        _chart(named)
        .mark_bar(color="var(--status-undelivered)")
        .encode(
            x=alt.X("failure_rate:Q", title="failed", axis=alt.Axis(format="%", tickCount=5)),
            y=alt.Y("label:N", sort=None, title=None),
        )
        .properties(height=alt.Step(24))
    )


def group_others(rows: Sequence[Row], name: str, value: str, keep: int) -> list[Row]:
    """Add up `value` by day and `name`. All but the `keep` names with the largest totals count as others."""
    totals: dict[str, float] = defaultdict(float)
    for row in rows:
        totals[row[name]] += float(row[value])
    largest = set(sorted(totals, key=lambda key: -totals[key])[:keep])
    sums: dict[tuple[date, str], float] = defaultdict(float)
    for row in rows:
        sums[row["day"], (row[name] or "(unknown)") if row[name] in largest else OTHER] += float(row[value])
    return [{"day": day, name: key, value: total} for (day, key), total in sums.items()]


def specification(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """Return the specification with the page's colours and font."""
    spec: dict[str, Any] = chart.to_dict()
    spec["background"] = "transparent"
    # The reader's font may be wider than the one with which the labels were measured.
    spec["padding"] = {"left": 30, "right": 20, "top": 5, "bottom": 5}
    spec["config"] = {
        "font": "system-ui, sans-serif",
        "view": {"stroke": None},
        "axis": {
            "labelColor": "var(--muted)", "titleColor": "var(--muted)", "gridColor": "var(--grid)",
            "domainColor": "var(--grid)", "tickColor": "var(--grid)", "labelFontSize": 12,
            "titleFontSize": 12, "titleFontWeight": "normal", "labelLimit": 240,
        },
        "legend": {
            "labelColor": "var(--text)", "labelFontSize": 12, "orient": "top", "symbolType": "square",
            "labelLimit": 200, "columns": 8, "columnPadding": 24,
        },
        "header": {"labelColor": "var(--text)", "labelFontSize": 12},
    }  # fmt: skip
    return spec


def _chart(rows: Sequence[Row]) -> alt.Chart:
    return alt.Chart(alt.Data(values=_plain(rows))).properties(width=WIDTH, height=HEIGHT)


def _bars_per_day(rows: Sequence[Row], value: str, title: str, series: str, scale: alt.Scale) -> alt.Chart:
    days = [row["day"] for row in rows]
    number = (max(days) - min(days)).days + 1
    return (
        _chart(rows)
        .mark_bar(size=max(1, min(40, WIDTH // number - 2)))
        .encode(
            x=_day_axis(),
            y=alt.Y(f"{value}:Q", title=title),
            color=alt.Color(f"{series}:N", scale=scale, title=None),
            order=alt.Order(f"{series}:N"),
        )
    )


def _day_axis() -> alt.X:
    return alt.X("day:T", title=None, axis=alt.Axis(format="%d %b", labelOverlap=True))


def _channel_scale(rows: Sequence[Row]) -> alt.Scale:
    """Return the channels' colours, which are the same in all charts."""
    present = {row["channel"] for row in rows}
    known = [channel for channel in CHANNELS if channel in present]
    others = sorted(present - {*CHANNELS})
    colours = [f"var(--channel-{channel.lower()})" for channel in known] + ["var(--channel-other)"] * len(
        others
    )
    return alt.Scale(domain=known + others, range=colours)


def _age_axis() -> alt.Y:
    return alt.Y("age:N", sort=[*AGES], title=None)


def _status_colour(name: str, present: Sequence[str]) -> alt.Color:
    """Return the statuses' colours, which are the same in all charts."""
    scale = alt.Scale(domain=present, range=[f"var(--status-{status})" for status in present])
    return alt.Color(f"{name}:N", scale=scale, title=None)


def _completeness(missing: int) -> str:
    if missing == 0:
        return "complete"
    return "1 to 9 missing" if missing < 10 else "10 or more missing"  # noqa: PLR2004 - as in the text


def _plain(rows: Sequence[Row]) -> list[Row]:
    """Return rows with the types of JSON. Days become midnight local time, which is how Vega reads them."""
    return [{name: _plain_value(value) for name, value in row.items()} for row in rows]


def _plain_value(value: Any) -> Any:
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00"
    return float(value) if isinstance(value, Decimal) else value
