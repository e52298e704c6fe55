"""Reports on the contents of the warehouse: SQL queries and their results as text tables."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from pathlib import Path

from psycopg import sql

from demo.postgres import Warehouse
from msghistory_report.database import opened
from msghistory_report.report import report

_QUERIES = Path(__file__).resolve().parents[1] / "docs" / "sql"
COMPLETENESS, RECONCILE = _QUERIES / "completeness.sql", _QUERIES / "reconcile.sql"

BY_CHANNEL = sql.SQL("""
SELECT vendor, channel, sum(sent) AS sent, sum(delivered) AS delivered, sum(read) AS read,
       sum(failed) AS failed, sum(open) AS open,
       round(100.0 * sum(delivered) / nullif(sum(delivered) + sum(failed), 0), 1) || ' %' AS "delivery rate"
FROM {marts}.daily_deliverability
GROUP BY vendor, channel
ORDER BY vendor, channel
""")

SYNCS = sql.SQL("""
SELECT stream, sum(windows) AS windows, sum(messages) AS messages, sum(revisited_messages) AS revisited,
       sum(requests) AS requests, sum(rejected) AS rejected
FROM {marts}.sync_health
GROUP BY stream
ORDER BY stream
""")

DELETE_MESSAGES = sql.SQL("""
DELETE FROM edna_history WHERE ctid IN (SELECT ctid FROM edna_history ORDER BY "sentOrReceivedAt" LIMIT %s)
""")

STATUS_CHANGES = sql.SQL("""
SELECT from_status AS "before", to_status AS "after", count(*) AS messages
FROM {marts}.status_changes
GROUP BY 1, 2
ORDER BY 3 DESC
""")


def completeness(warehouse: Warehouse) -> list[tuple[str, sql.SQL]]:
    """Create the views of docs/sql/completeness.sql; return its queries, each with a title."""
    preparation, *queries = COMPLETENESS.read_text().split(";\n\n")
    warehouse.connection.execute(sql.SQL(preparation))
    return [(_title(query), sql.SQL(query.rstrip(";\n"))) for query in queries]


def _title(query: str) -> str:
    """Return the first line of the comment."""
    return query.removeprefix("-- ").partition("\n")[0].rstrip(".")


def models(warehouse: Warehouse) -> list[tuple[str, sql.Composed]]:
    """Return queries on the dbt models, each with a title."""
    queries = {
        "Deliverability": BY_CHANNEL,
        "Both syncs": SYNCS,
        "Status changes that the second sync saw": STATUS_CHANGES,
    }
    marts = sql.Identifier(warehouse.marts_schema)
    return [(title, query.format(marts=marts)) for title, query in queries.items()]


def write_page(warehouse: Warehouse, file: Path) -> None:
    """Write the delivery report."""
    with opened(warehouse.dsn, warehouse.marts_schema) as marts:
        file.write_text(report(marts, days=90), encoding="utf-8")


def counts(warehouse: Warehouse) -> str:
    """Return the result of docs/sql/reconcile.sql as CSV, as psql prints it: messages by stream and day."""
    preparation, query = RECONCILE.read_text().split("END $$;\n\n")
    warehouse.connection.execute(sql.SQL(preparation + "END $$;"))
    cursor = warehouse.connection.execute(sql.SQL(query))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in cursor.description or ()])
    writer.writerows(cursor)
    return text.getvalue()


def delete_messages(warehouse: Warehouse, count: int) -> None:
    """Delete messages, as an accident in a warehouse would."""
    warehouse.connection.execute(DELETE_MESSAGES, [count])


def table(warehouse: Warehouse, query: sql.SQL | sql.Composed) -> str:
    """Run a query and return its result as a text table with right-aligned numbers."""
    cursor = warehouse.connection.execute(query)
    rows = [
        [f"{cell:,}" if isinstance(cell, (int, Decimal)) else str(cell) for cell in row] for row in cursor
    ]
    if not rows:
        return "(no rows)"
    names = [column.name for column in cursor.description or ()]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]
    lines = [names, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if cell[:1].isdigit() else cell.ljust(width)
            for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    )
