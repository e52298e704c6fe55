"""Makes the report from a warehouse."""

from __future__ import annotations

from datetime import datetime, timezone

from msghistory_report import queries
from msghistory_report.database import Row, Warehouse
from msghistory_report.errors import ReportError
from msghistory_report.formats import MISSING, duration, money, number, percent
from msghistory_report.page import Figure, Part, render
from msghistory_report.sections import SECTIONS

_TITLE = "Message delivery"


def report(warehouse: Warehouse, *, days: int) -> str:
    """Return the report of the last `days` days as HTML. Raises `ReportError` if the marts do not exist."""
    tables = warehouse.tables()
    if missing := [name for name in queries.REQUIRED if name not in tables]:
        raise ReportError(
            f"The schema {warehouse.schema} has no table {missing[0]}. Run dbt build with the package "
            "msghistory, and name the schema of its models with --schema"
        )

    def rows(query: str) -> list[Row]:
        return warehouse.rows(query.replace("{days}", str(days)))

    parts = [
        Part(section, rows(section.query) if section.requires is None or section.requires in tables else [])
        for section in SECTIONS
    ]
    (summary,) = rows(queries.SUMMARY)
    return render(
        _figures(
            summary, {name: value for query in _SINGLE for row in rows(query) for name, value in row.items()}
        ),
        parts,
        title=_TITLE,
        period=f"{summary['first_day']} to {summary['last_day']}" if summary["first_day"] else "no messages",
        made_at=f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
    )


_SINGLE = (queries.MEDIAN_DELIVERY, queries.COMPLETENESS, queries.LAST_SYNC, queries.STOP_SENDING)


def _figures(summary: Row, single: Row) -> list[Figure]:
    rate, cost, seconds = summary["delivery_rate"], summary["cost"], single["seconds"]
    last_sync = single["last_read_at"]
    missing = int(single["missing"])
    return [
        Figure("Messages sent", number(summary["sent"]), f"{number(summary['open'])} without an outcome yet"),
        Figure("Delivery rate", MISSING if rate is None else percent(rate), "of messages with an outcome"),
        Figure("Median time to delivery", MISSING if seconds is None else duration(seconds)),
        Figure("Cost", MISSING if cost is None else money(cost), "as reported by the vendor"),
        Figure(
            "Missing messages",
            number(missing),
            "ledger compared with warehouse, all days",
            is_bad=missing > 0,
        ),
        Figure(
            "Recipients to stop texting",
            number(single["recipients"]),
            f"of {number(single['all_recipients'])}: their latest messages all failed",
        ),
        Figure("Last sync", MISSING)
        if last_sync is None
        else Figure("Last sync", f"{last_sync:%Y-%m-%d}", f"{last_sync:%H:%M} UTC"),
    ]
