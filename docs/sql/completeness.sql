-- Is everything there? Questions to a PostgreSQL warehouse that holds the streams and their ledger, sync_windows.
--   psql -v ON_ERROR_STOP=1 -c 'SET search_path TO msghistory' -f completeness.sql
-- Times are UTC without an offset, as target-postgres stores them.

-- All messages. Leave out the tables that you do not have, and add partner_gateway_history_export if you load it.
CREATE OR REPLACE VIEW message_history AS
SELECT 'edna_history' AS stream, "sentOrReceivedAt" AS sent_at,
       -- A message from a subscriber has come: its status is not going to change.
       CASE direction WHEN 'IN' THEN 'RECEIVED' ELSE "deliveryStatus" END AS status
FROM edna_history
UNION ALL
SELECT 'partner_gateway_history_sms', "sendDate", "deliveryStatus" FROM partner_gateway_history_sms
UNION ALL
SELECT 'partner_gateway_history_rcs', "sendDate", "deliveryStatus" FROM partner_gateway_history_rcs
UNION ALL
SELECT 'partner_gateway_history_whatsapp', "sendDate", "deliveryStatus" FROM partner_gateway_history_whatsapp;

-- Days whose messages in the warehouse are fewer than the ledger last saw; none is as it should be.
-- Within a run windows do not overlap, so that what is missing in them adds up; of several runs that count is shown in
-- which most is missing. A window of several days counts to its first, and last_day says how far it goes. Messages that
-- you have deleted, or that a stream map has filtered, are missing too.
WITH bounds AS (
    SELECT stream, "windowTo" AS at FROM sync_windows
    UNION
    -- What is sent in the very millisecond of a bound may be in either of two windows.
    SELECT stream, "windowFrom" - interval '2 milliseconds' FROM sync_windows
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
), windows AS (
    SELECT it.stream, it."runId", it."windowFrom", it."windowTo", it.messages AS in_ledger,
           until.sent - since.sent AS in_warehouse
    FROM sync_windows AS it
    JOIN counted AS since ON since.stream = it.stream AND since.at = it."windowFrom" - interval '2 milliseconds'
    JOIN counted AS until ON until.stream = it.stream AND until.at = it."windowTo"
), runs AS (
    SELECT stream, "runId", "windowFrom"::date AS day, max("windowTo")::date AS last_day,
           sum(in_ledger) AS in_ledger, sum(in_warehouse) AS in_warehouse,
           sum(greatest(in_ledger - in_warehouse, 0)) AS missing
    FROM windows
    GROUP BY stream, "runId", "windowFrom"::date
)
SELECT DISTINCT ON (stream, day) stream, day, last_day, in_ledger, in_warehouse, missing
FROM runs
WHERE missing > 0
ORDER BY stream, day, missing DESC;

-- Stretches of send time that were never read: gaps, and what lies between the last window and now (UTC).
WITH read AS (
    SELECT stream, "windowFrom" AS since, "windowTo" AS until FROM sync_windows
    UNION ALL
    SELECT DISTINCT stream, (now() AT TIME ZONE 'UTC') AS since, (now() AT TIME ZONE 'UTC') FROM sync_windows
), so_far AS (
    SELECT stream, since,
           max(until) OVER (PARTITION BY stream ORDER BY since, until ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
               AS read_to
    FROM read
)
SELECT stream, read_to AS after, since AS up_to, since - read_to AS never_read
FROM so_far
WHERE since > read_to
ORDER BY stream, read_to;

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
