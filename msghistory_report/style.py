"""Scales, axes and configuration that the charts share.

Colours are CSS variables of the page, so one drawing serves light mode, dark mode and print.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import altair as alt

from msghistory_report.database import Row
from msghistory_report.queries import AGES

WIDTH, HEIGHT = 960, 280
"""Pixels of a drawing with its axes, and of its plotting area."""
PLOT_WIDTH = WIDTH - 100
"""Approximate pixels between the axes."""

CHANNELS = ("SMS", "WHATSAPP", "RCS", "VIBER")
STATUSES = ("read", "delivered", "accepted", "sent", "unknown", "undelivered", "expired", "invalid")
_CONFIG = {
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)", "titleColor": "var(--muted)", "gridColor": "var(--grid)",
        "domainColor": "var(--grid)", "tickColor": "var(--grid)", "labelFontSize": 12, "titleFontSize": 12,
        "titleFontWeight": "normal", "labelLimit": 240, "labelOverlap": True, "labelSeparation": 16,
    },
    "legend": {
        "labelColor": "var(--text)", "labelFontSize": 12, "orient": "top", "symbolType": "square",
        "labelLimit": 200, "columns": 8, "columnPadding": 24, "symbolOpacity": 1,
    },
    "header": {"labelColor": "var(--text)", "labelFontSize": 12},
}  # fmt: skip


def specification(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """Return the specification with the page's colours and font."""
    spec: dict[str, Any] = chart.to_dict()
    spec["background"] = "transparent"
    # The reader's font may be wider than the one with which the labels were measured.
    spec["padding"] = {"left": 20, "right": 20, "top": 5, "bottom": 5}
    if "facet" not in spec:
        spec["autosize"] = {"type": "fit-x", "contains": "padding"}
    spec["config"] = _CONFIG
    return spec


def data(rows: Sequence[Row]) -> alt.Data:
    """Return rows with the types of JSON. Days become midnight local time, which is how Vega reads them."""
    return alt.Data(values=[{name: _plain(value) for name, value in row.items()} for row in rows])


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00:00"
    return float(value) if isinstance(value, Decimal) else value


def chart(rows: Sequence[Row]) -> alt.Chart:
    """Return a chart of the usual size, without marks."""
    return alt.Chart(data(rows)).properties(width=WIDTH, height=HEIGHT)


def day_axis() -> alt.X:
    """Return the axis of days."""
    return alt.X("day:T", title=None, axis=alt.Axis(format="%d %b", grid=False, tickCount=8))


def age_axis() -> alt.Y:
    """Return the axis of the messages' ages."""
    return alt.Y("age:N", sort=[*AGES], title=None)


def bars_per_day(rows: Sequence[Row]) -> alt.Chart:
    """Return a chart with a bar per day, which parts stack up to."""
    days = [row["day"] for row in rows]
    number = (max(days) - min(days)).days + 1
    size = max(1.0, min(40.0, PLOT_WIDTH / number * 0.85))
    # The edges separate parts of similar colours; a narrow bar would consist of edges.
    return chart(rows).mark_bar(size=size, stroke="var(--surface)", strokeWidth=0.5 if size > 4 else 0)  # noqa: PLR2004


def channel_colour(rows: Sequence[Row]) -> alt.Color:
    """Return the channels' colours, which are the same in all charts."""
    present = {row["channel"] for row in rows}
    known = [channel for channel in CHANNELS if channel in present]
    others = sorted(present - {*CHANNELS})
    colours = [f"var(--channel-{channel.lower()})" for channel in known]
    scale = alt.Scale(domain=known + others, range=colours + ["var(--channel-other)"] * len(others))
    return alt.Color("channel:N", scale=scale, title=None)


def status_colour(rows: Sequence[Row], name: str) -> alt.Color:
    """Return the statuses' colours, which are the same in all charts."""
    present = [status for status in STATUSES if any(row[name] == status for row in rows)]
    scale = alt.Scale(domain=present, range=[f"var(--status-{status})" for status in present])
    return alt.Color(f"{name}:N", scale=scale, title=None)
