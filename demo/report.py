"""What is in the warehouse, asked with SQL and shown as tables."""

from __future__ import annotations

from pathlib import Path

from psycopg import sql

from demo.postgres import Warehouse

COMPLETENESS = Path(__file__).resolve().parents[1] / "docs" / "sql" / "completeness.sql"

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

REMEMBER = sql.SQL("CREATE TABLE first_sync AS SELECT * FROM messages")

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

BROUGHT = sql.SQL("""
SELECT stream,
       count(*) FILTER (WHERE first_sync.id IS NULL) AS "new messages",
       count(*) FILTER (WHERE first_sync.status <> messages.status) AS "changed statuses"
FROM messages LEFT JOIN first_sync USING (stream, id)
GROUP BY stream
ORDER BY stream
""")

MOVED = sql.SQL("""
SELECT first_sync.status AS "was", messages.status AS "is", count(*) AS messages
FROM messages JOIN first_sync USING (stream, id)
WHERE first_sync.status <> messages.status
GROUP BY 1, 2
ORDER BY 3 DESC
""")


def completeness(warehouse: Warehouse) -> list[tuple[str, sql.SQL]]:
    """Prepare the questions of docs/sql/completeness.sql; return each with what it asks for."""
    preparation, *questions = COMPLETENESS.read_text().split(";\n\n")
    warehouse.connection.execute(sql.SQL(preparation))
    return [(_title(it), sql.SQL(it.rstrip(";\n"))) for it in questions]


def _title(question: str) -> str:
    return question.removeprefix("-- ").partition("\n")[0].partition(";")[0].rstrip(".")


def remember(warehouse: Warehouse) -> None:
    """Keep what the first sync brought, for the second to be compared with."""
    warehouse.connection.execute(MESSAGES)
    warehouse.connection.execute(REMEMBER)


def table(warehouse: Warehouse, question: sql.SQL) -> str:
    """Ask, and lay the answer out; numbers stand to the right."""
    cursor = warehouse.connection.execute(question)
    rows = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in cursor]
    if not rows:
        return "none"
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
