-- Completeness checks for a PostgreSQL warehouse with the streams and their ledger, sync_windows.
--   psql -v ON_ERROR_STOP=1 -c 'SET search_path TO msghistory' -f completeness.sql
-- Replace msghistory with the schema that contains the tables.

-- Views with uniform column names and UTC times without an offset: some loaders use lower-case names, snake_case names or timestamptz.
CREATE OR REPLACE FUNCTION pg_temp.column_of(relation text, name text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((
        SELECT CASE WHEN atttypid = 'timestamptz'::regtype THEN format('(%I AT TIME ZONE ''UTC'')', attname) ELSE quote_ident(attname) END
        FROM pg_attribute
        WHERE attrelid = to_regclass(quote_ident(relation)) AND replace(lower(attname), '_', '') = lower(name) AND attnum > 0 AND NOT attisdropped
        ORDER BY attname = name DESC
        LIMIT 1
    ), 'NULL')
$$;
DO $$
DECLARE
    histories text;
    windows text;
BEGIN
    -- Messages from subscribers have a final status.
    -- Accounts are counted separately.
    SELECT string_agg(format('SELECT %L || coalesce('' of '' || %s, '''') AS stream, %s AS sent_at, CASE %s WHEN ''IN'' THEN ''RECEIVED'' ELSE %s END AS status FROM %I',
        name, pg_temp.column_of(name, 'account'), pg_temp.column_of(name, sent_at), pg_temp.column_of(name, 'direction'), pg_temp.column_of(name, 'deliveryStatus'), name), ' UNION ALL ')
    INTO histories
    FROM (VALUES
        ('edna_history', 'sentOrReceivedAt'),
        ('partner_gateway_history_sms', 'sendDate'),
        ('partner_gateway_history_rcs', 'sendDate'),
        ('partner_gateway_history_whatsapp', 'sendDate'),
        ('partner_gateway_history_export', 'sendDate')
    ) AS known (name, sent_at)
    WHERE to_regclass(quote_ident(name)) IS NOT NULL;
    EXECUTE 'CREATE OR REPLACE TEMPORARY VIEW message_history AS ' || histories;
    SELECT string_agg(format('%s::%s AS %I', pg_temp.column_of('sync_windows', name), type, alias), ', ')
        || format(', stream || coalesce('' of '' || %s, '''') AS stream', pg_temp.column_of('sync_windows', 'account'))
    INTO windows
    FROM (VALUES
        ('runId', 'run_id', 'text'), ('reason', 'reason', 'text'), ('messages', 'messages', 'bigint'),
        ('windowFrom', 'window_from', 'timestamp'), ('windowTo', 'window_to', 'timestamp'), ('readAt', 'read_at', 'timestamp'),
        ('confirmed', 'confirmed', 'boolean'), ('refused', 'refused', 'boolean')
    ) AS known (name, alias, type);
    EXECUTE 'CREATE OR REPLACE TEMPORARY VIEW message_windows AS SELECT ' || windows || ' FROM sync_windows';
END $$;

-- Days with fewer messages in the warehouse than in the ledger.
-- Expected result: no rows.
-- For each sequence of adjacent windows of a run, the cumulative count in the ledger is compared with the number of messages
-- in the warehouse up to the same time. A message sent exactly at a bound may be counted in either of two windows, so a loss
-- may be reported for a later window and a later day. A window of several days is assigned to its first day. If several runs
-- read a day, the run with the most missing messages is shown. Messages that you deleted, or that a stream map removed, are
-- reported as missing. To exclude windows read before a deletion, add AND read_at > ... to the first query (ledger).
WITH ledger AS (
    SELECT stream, run_id, window_from, window_to, messages FROM message_windows WHERE refused IS NOT TRUE
), sequences AS (
    SELECT *, count(*) FILTER (WHERE is_first) OVER (PARTITION BY stream, run_id ORDER BY window_from) AS sequence
    FROM (
        SELECT *, window_from IS DISTINCT FROM lag(window_to) OVER (PARTITION BY stream, run_id ORDER BY window_from)
            AS is_first
        FROM ledger
    ) AS adjacency
), bounds AS (
    SELECT stream, window_to AS at FROM ledger
    UNION
    -- The range of a request starts one millisecond before its window.
    SELECT stream, window_from - interval '2 milliseconds' FROM sequences WHERE is_first
), counted AS (
    -- Number of messages sent up to each bound, in one pass in send order.
    SELECT stream, at, sent
    FROM (
        SELECT stream, at, is_bound, count(*) FILTER (WHERE NOT is_bound)
            OVER (PARTITION BY stream ORDER BY at, is_bound) AS sent
        FROM (
            SELECT stream, at, true AS is_bound FROM bounds
            UNION ALL
            SELECT stream, sent_at, false FROM message_history
        ) AS bounds_and_messages
    ) AS counts
    WHERE is_bound
), compared AS (
    SELECT win.stream, win.run_id, sequence, window_from, window_to, messages,
           sum(messages) OVER cumulative - up_to_end.sent + max(up_to_start.sent) OVER cumulative AS difference
    FROM sequences AS win
    JOIN counted AS up_to_end ON up_to_end.stream = win.stream AND up_to_end.at = window_to
    LEFT JOIN counted AS up_to_start
           ON is_first AND up_to_start.stream = win.stream AND up_to_start.at = window_from - interval '2 milliseconds'
    WINDOW cumulative AS (PARTITION BY win.stream, win.run_id, sequence ORDER BY window_from)
), totals AS (
    SELECT *, greatest(max(difference) OVER (PARTITION BY stream, run_id, sequence ORDER BY window_from), 0) AS total_missing
    FROM compared
), windows AS (
    SELECT *, total_missing - lag(total_missing, 1, 0)
        OVER (PARTITION BY stream, run_id, sequence ORDER BY window_from) AS missing
    FROM totals
), days AS (
    SELECT stream, run_id, window_from::date AS day, max(window_to)::date AS last_day,
           sum(messages) AS in_ledger, sum(missing) AS missing
    FROM windows
    GROUP BY stream, run_id, window_from::date
)
SELECT DISTINCT ON (stream, day) stream, day, last_day, in_ledger, in_ledger - missing AS in_warehouse, missing
FROM days
WHERE missing > 0
ORDER BY stream, day, missing DESC;

-- Gaps: periods of send time that were never read, between periods that were.
-- Expected result: no rows.
SELECT stream, read_to AS after, since AS up_to, since - read_to AS never_read
FROM (
    SELECT stream, window_from AS since,
           max(window_to) OVER (
               PARTITION BY stream ORDER BY window_from, window_to ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
           ) AS read_to
    FROM message_windows
    WHERE reason <> 'reread'
) AS previous
WHERE since > read_to
ORDER BY stream, read_to;

-- Windows that the vendor refused, or that changed repeatedly while they were read, and were not confirmed later.
-- Expected result: no rows.
SELECT stream, window_from, window_to, reason, refused, read_at
FROM message_windows AS win
WHERE (refused OR NOT confirmed)
  AND NOT EXISTS (
      SELECT FROM message_windows AS later
      WHERE later.confirmed AND later.stream = win.stream AND later.read_at > win.read_at
        AND later.window_from <= win.window_from AND later.window_to >= win.window_to
  )
ORDER BY stream, window_from, read_at;

-- Windows that end after they were read, or in the future.
-- Expected result: no rows. Otherwise the clock of the machine that runs the tap was fast, or the loader shifted times by the
-- time zone of its session.
SELECT stream, window_from, window_to, read_at
FROM message_windows
WHERE window_to > read_at OR window_to > now() AT TIME ZONE 'UTC'
ORDER BY stream, window_from;

-- Progress of each stream: the time up to which it has been read (UTC), and the age of that time.
SELECT stream, max(window_to) AS read_to, date_trunc('second', (now() AT TIME ZONE 'UTC') - max(window_to)) AS ago
FROM message_windows
WHERE reason <> 'reread'
GROUP BY stream
ORDER BY stream;

-- Messages without a final status, by age.
-- Messages older than the last age in revisit_after are no longer updated.
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
