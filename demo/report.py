"""Reports on the contents of the warehouse: SQL queries and their results as text tables."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from psycopg import sql

from demo.postgres import Warehouse

_QUERIES = Path(__file__).resolve().parents[1] / "docs" / "sql"
COMPLETENESS, RECONCILE = _QUERIES / "completeness.sql", _QUERIES / "reconcile.sql"

MESSAGES = sql.SQL("""
CREATE VIEW messages AS
    SELECT 'edna_history' AS stream, "channelType" AS channel,
           "messageId"::text AS id, "deliveryStatus" AS status
    FROM edna_history
UNION ALL
    SELECT 'partner_gateway_history_' || lower(channel), channel, "messageId", "deliveryStatus"
    FROM (
        SELECT * FROM partner_gateway_history_sms
        UNION ALL SELECT * FROM partner_gateway_history_rcs
        UNION ALL SELECT * FROM partner_gateway_history_whatsapp
    ) AS partner_gateway
""")

SAVE_FIRST_SYNC = sql.SQL("CREATE TABLE first_sync AS SELECT * FROM messages")

BY_STATUS = sql.SQL("""
SELECT stream, channel, status,
       count(*) FILTER (WHERE sync = 1) AS "after the first sync",
       count(*) FILTER (WHERE sync = 2) AS "after the second"
FROM (
    SELECT 1 AS sync, stream, channel, status FROM first_sync
    UNION ALL SELECT 2, stream, channel, status FROM messages
) AS both_syncs
GROUP BY stream, channel, status
ORDER BY stream, channel, "after the second" DESC
""")

CHANGES_BY_STREAM = sql.SQL("""
SELECT stream,
       count(*) FILTER (WHERE first_sync.id IS NULL) AS "new messages",
       count(*) FILTER (WHERE first_sync.status <> messages.status) AS "changed statuses"
FROM messages LEFT JOIN first_sync USING (stream, id)
GROUP BY stream
ORDER BY stream
""")

DELETE_MESSAGES = sql.SQL("""
DELETE FROM edna_history WHERE ctid IN (SELECT ctid FROM edna_history ORDER BY "sentOrReceivedAt" LIMIT %s)
""")

STATUS_CHANGES = sql.SQL("""
SELECT first_sync.status AS "before", messages.status AS "after", count(*) AS messages
FROM messages JOIN first_sync USING (stream, id)
WHERE first_sync.status <> messages.status
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


def save_first_sync(warehouse: Warehouse) -> None:
    """Copy the messages after the first sync, to compare them with those after the second."""
    warehouse.connection.execute(MESSAGES)
    warehouse.connection.execute(SAVE_FIRST_SYNC)


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


def table(warehouse: Warehouse, query: sql.SQL) -> str:
    """Run a query and return its result as a text table with right-aligned numbers."""
    cursor = warehouse.connection.execute(query)
    rows = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in cursor]
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
