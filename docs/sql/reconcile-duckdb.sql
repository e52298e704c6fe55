-- Number of messages per stream and day in a DuckDB warehouse, as CSV for tap-msghistory --reconcile:
--   (echo 'SET search_path = ''msghistory'';'; cat reconcile-duckdb.sql) | duckdb -csv warehouse.duckdb
-- Replace msghistory with the schema that contains the tables. Remove the tables that do not exist from the first query. Names of
-- columns may be as in the streams (messageId) or in snake case (message_id). With several accounts, add a condition on the
-- column account to each FROM.

-- The days and the treatment of rejected messages are those of reconcile.sql. Times without an offset are UTC.
SET TimeZone = 'UTC';

WITH accepted AS (
    SELECT 'edna_history' AS stream, COLUMNS('(?i)^message_?id$')::VARCHAR AS id,
           COLUMNS('(?i)^sent_?or_?received_?at$')::TIMESTAMPTZ AT TIME ZONE 'UTC' AS sent_at, address AS recipient
    FROM edna_history
    UNION ALL
    SELECT 'partner_gateway_history_sms', COLUMNS('(?i)^message_?id$')::VARCHAR,
           COLUMNS('(?i)^send_?date$')::TIMESTAMPTZ AT TIME ZONE 'UTC', destination
    FROM partner_gateway_history_sms
    UNION ALL
    SELECT 'partner_gateway_history_rcs', COLUMNS('(?i)^message_?id$')::VARCHAR,
           COLUMNS('(?i)^send_?date$')::TIMESTAMPTZ AT TIME ZONE 'UTC', destination
    FROM partner_gateway_history_rcs
    UNION ALL
    SELECT 'partner_gateway_history_whatsapp', COLUMNS('(?i)^message_?id$')::VARCHAR,
           COLUMNS('(?i)^send_?date$')::TIMESTAMPTZ AT TIME ZONE 'UTC', destination
    FROM partner_gateway_history_whatsapp
), rejected AS (
    SELECT DISTINCT stream, message ->> '$.messageId' AS id,
           date_trunc('milliseconds', TRY_CAST(coalesce(message ->> '$.sentOrReceivedAt', message ->> '$.sendDate') AS TIMESTAMPTZ)
               AT TIME ZONE 'UTC') AS sent_at,
           coalesce(message ->> '$.address', message ->> '$.destination') AS recipient
    FROM (SELECT stream, message::JSON AS message FROM rejected_messages)
), read AS (
    SELECT stream, min(COLUMNS('(?i)^window_?from$')::TIMESTAMPTZ AT TIME ZONE 'UTC') AS starts_at,
           max(COLUMNS('(?i)^window_?to$')::TIMESTAMPTZ AT TIME ZONE 'UTC') AS ends_at
    FROM sync_windows
    WHERE reason <> 'reread' AND refused IS NOT TRUE
    GROUP BY stream
), messages AS (
    SELECT stream, sent_at FROM accepted
    UNION ALL
    SELECT stream, sent_at FROM rejected WHERE sent_at IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM accepted
        WHERE accepted.stream = rejected.stream AND accepted.id = rejected.id AND accepted.sent_at = rejected.sent_at
          AND accepted.recipient IS NOT DISTINCT FROM rejected.recipient
    )
), counts AS (
    SELECT stream, date_trunc('day', sent_at - INTERVAL 1 MILLISECOND)::TIMESTAMP AS day,
           count(*) AS messages, min(sent_at) AS first_sent, max(sent_at) AS last_sent
    FROM messages LEFT JOIN read USING (stream)
    WHERE sent_at <= ends_at OR ends_at IS NULL
    GROUP BY ALL
), sent AS (
    SELECT stream, min(first_sent) - INTERVAL 1 MILLISECOND AS starts_at, max(last_sent) AS ends_at FROM counts GROUP BY stream
), periods AS (
    SELECT stream, least(read.starts_at, sent.starts_at) AS starts_at, coalesce(read.ends_at, sent.ends_at) AS ends_at
    FROM read FULL JOIN sent USING (stream)
    WHERE stream <> 'partner_gateway_history_export'
), days AS (
    SELECT stream, starts_at, ends_at,
           unnest(generate_series(date_trunc('day', starts_at)::TIMESTAMP, ends_at - INTERVAL 1 MILLISECOND, INTERVAL 1 DAY)) AS day
    FROM periods
    WHERE starts_at < ends_at
)
SELECT stream, strftime(greatest(day, starts_at), '%Y-%m-%dT%H:%M:%S.%gZ') AS "from",
       strftime(least(day + INTERVAL 1 DAY, ends_at), '%Y-%m-%dT%H:%M:%S.%gZ') AS "to", coalesce(messages, 0) AS messages
FROM days LEFT JOIN counts USING (stream, day)
ORDER BY stream, day;
