-- Is everything there? Questions to a PostgreSQL warehouse that holds the streams and their ledger, sync_windows.
--   psql -v ON_ERROR_STOP=1 -c 'SET search_path TO msghistory' -f completeness.sql
-- with the schema that the tables are in. Times are UTC without an offset, as target-postgres stores them.

-- All messages, of the streams that there are. A message from a subscriber has come: its status does not change.
DO $$
DECLARE
    histories text;
BEGIN
    SELECT string_agg(format('SELECT %L AS stream, %I AS sent_at, %s AS status FROM %I', name, sent_at, status, name), ' UNION ALL ')
    INTO histories
    FROM (VALUES
        ('edna_history', 'sentOrReceivedAt', 'CASE direction WHEN ''IN'' THEN ''RECEIVED'' ELSE "deliveryStatus" END'),
        ('partner_gateway_history_sms', 'sendDate', '"deliveryStatus"'),
        ('partner_gateway_history_rcs', 'sendDate', '"deliveryStatus"'),
        ('partner_gateway_history_whatsapp', 'sendDate', '"deliveryStatus"'),
        ('partner_gateway_history_export', 'sendDate', '"deliveryStatus"')
    ) AS known (name, sent_at, status)
    WHERE to_regclass(quote_ident(name)) IS NOT NULL;
    EXECUTE 'CREATE OR REPLACE VIEW message_history AS ' || histories;
END $$;

-- Days whose messages in the warehouse are fewer than the ledger saw; none is as it should be.
-- Windows of a run that join are added up from their beginning, and compared with the messages up to the same moment. A
-- message of the very instant of a bound may be counted in either of two windows, so that a loss may only show in a later
-- one, on a later day. A window of several days counts to its first. Of several runs, the one is shown in which most is
-- missing. Messages that you have deleted, or that a stream map has filtered, are missing too: to leave out what was read
-- before that, add AND "readAt" > ... to the first lines.
WITH ledger AS (
    SELECT stream, "runId", "windowFrom", "windowTo", messages FROM sync_windows WHERE refused IS NOT TRUE
), stretches AS (
    SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY stream, "runId" ORDER BY "windowFrom") AS stretch
    FROM (
        SELECT *, "windowFrom" IS DISTINCT FROM lag("windowTo") OVER (PARTITION BY stream, "runId" ORDER BY "windowFrom")
            AS begins
        FROM ledger
    ) AS it
), bounds AS (
    SELECT stream, "windowTo" AS at FROM ledger
    UNION
    -- Requests begin a millisecond early.
    SELECT stream, "windowFrom" - interval '2 milliseconds' FROM stretches WHERE begins
), counted AS (
    -- How many messages were sent up to each bound: one pass over them, in the order of their times.
    SELECT stream, at, sent
    FROM (
        SELECT stream, at, is_bound, count(*) FILTER (WHERE NOT is_bound)
            OVER (PARTITION BY stream ORDER BY at, is_bound) AS sent
        FROM (
            SELECT stream, at, true AS is_bound FROM bounds
            UNION ALL
            SELECT stream, sent_at, false FROM message_history
        ) AS line
    ) AS running
    WHERE is_bound
), compared AS (
    SELECT it.stream, it."runId", stretch, "windowFrom", "windowTo", messages,
           sum(messages) OVER so_far - until.sent + max(since.sent) OVER so_far AS lacking
    FROM stretches AS it
    JOIN counted AS until ON until.stream = it.stream AND until.at = "windowTo"
    LEFT JOIN counted AS since
           ON begins AND since.stream = it.stream AND since.at = "windowFrom" - interval '2 milliseconds'
    WINDOW so_far AS (PARTITION BY it.stream, it."runId", stretch ORDER BY "windowFrom")
), lost AS (
    SELECT *, greatest(max(lacking) OVER (PARTITION BY stream, "runId", stretch ORDER BY "windowFrom"), 0) AS so_far
    FROM compared
), windows AS (
    SELECT *, so_far - lag(so_far, 1, 0) OVER (PARTITION BY stream, "runId", stretch ORDER BY "windowFrom") AS missing
    FROM lost
), days AS (
    SELECT stream, "runId", "windowFrom"::date AS day, max("windowTo")::date AS last_day,
           sum(messages) AS in_ledger, sum(missing) AS missing
    FROM windows
    GROUP BY stream, "runId", "windowFrom"::date
)
SELECT DISTINCT ON (stream, day) stream, day, last_day, in_ledger, in_ledger - missing AS in_warehouse, missing
FROM days
WHERE missing > 0
ORDER BY stream, day, missing DESC;

-- Stretches of send time that were never read, between others that were; none is as it should be.
SELECT stream, read_to AS after, since AS up_to, since - read_to AS never_read
FROM (
    SELECT stream, "windowFrom" AS since,
           max("windowTo") OVER (
               PARTITION BY stream ORDER BY "windowFrom", "windowTo" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
           ) AS read_to
    FROM sync_windows
) AS so_far
WHERE since > read_to
ORDER BY stream, read_to;

-- Windows that the vendor refused to show again, or that kept changing while they were read; none is as it should be.
-- Windows that were read and confirmed later are left out.
SELECT stream, "windowFrom", "windowTo", reason, refused, "readAt"
FROM sync_windows AS it
WHERE (refused OR NOT confirmed)
  AND NOT EXISTS (
      SELECT FROM sync_windows AS later
      WHERE later.confirmed AND later.stream = it.stream AND later."readAt" > it."readAt"
        AND later."windowFrom" <= it."windowFrom" AND later."windowTo" >= it."windowTo"
  )
ORDER BY stream, "windowFrom", "readAt";

-- How far each stream has been read, and how long ago that is (UTC).
SELECT stream, max("windowTo") AS read_to, date_trunc('second', (now() AT TIME ZONE 'UTC') - max("windowTo")) AS ago
FROM sync_windows
GROUP BY stream
ORDER BY stream;

-- Statuses that are still open, by age. Older than the last age of revisit_after, they are no longer followed.
SELECT stream, status,
       count(*) FILTER (WHERE age < interval '1 hour') AS "under an hour",
       count(*) FILTER (WHERE age >= interval '1 hour' AND age < interval '1 day') AS "under a day",
       count(*) FILTER (WHERE age >= interval '1 day' AND age < interval '3 days') AS "under 3 days",
       count(*) FILTER (WHERE age >= interval '3 days' AND age < interval '7 days') AS "under a week",
       count(*) FILTER (WHERE age >= interval '7 days' AND age < interval '30 days') AS "under 30 days",
       count(*) FILTER (WHERE age >= interval '30 days') AS "older"
FROM (SELECT *, (now() AT TIME ZONE 'UTC') - sent_at AS age FROM message_history) AS message
WHERE status IN ('ACCEPTED', 'ENQUEUED', 'SENT', 'UNKNOWN') OR status IS NULL
GROUP BY stream, status
ORDER BY stream, status;
