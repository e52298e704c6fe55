-- Is everything there? Questions to a PostgreSQL warehouse that holds the streams and their ledger, sync_windows.
--   psql -v ON_ERROR_STOP=1 -c 'SET search_path TO msghistory' -f completeness.sql
-- with the schema that the tables are in. Columns may also be lower-case, as some loaders name them.

-- Views with one spelling of the columns and UTC times without an offset: some loaders lower-case names, or use timestamptz.
CREATE OR REPLACE FUNCTION pg_temp.column_of(relation text, name text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((
        SELECT CASE WHEN atttypid = 'timestamptz'::regtype THEN format('(%I AT TIME ZONE ''UTC'')', attname) ELSE quote_ident(attname) END
        FROM pg_attribute
        WHERE attrelid = to_regclass(quote_ident(relation)) AND lower(attname) = lower(name) AND attnum > 0 AND NOT attisdropped
        ORDER BY attname = name DESC
        LIMIT 1
    ), 'NULL')
$$;
DO $$
DECLARE
    histories text;
    windows text;
BEGIN
    -- The status of a message from a subscriber does not change.
    SELECT string_agg(format('SELECT %L AS stream, %s AS sent_at, CASE %s WHEN ''IN'' THEN ''RECEIVED'' ELSE %s END AS status FROM %I',
        name, pg_temp.column_of(name, sent_at), pg_temp.column_of(name, 'direction'), pg_temp.column_of(name, 'deliveryStatus'), name), ' UNION ALL ')
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
    INTO windows
    FROM (VALUES
        ('runId', 'run_id', 'text'), ('stream', 'stream', 'text'), ('reason', 'reason', 'text'), ('messages', 'messages', 'bigint'),
        ('windowFrom', 'window_from', 'timestamp'), ('windowTo', 'window_to', 'timestamp'), ('readAt', 'read_at', 'timestamp'),
        ('confirmed', 'confirmed', 'boolean'), ('refused', 'refused', 'boolean')
    ) AS known (name, alias, type);
    EXECUTE 'CREATE OR REPLACE TEMPORARY VIEW message_windows AS SELECT ' || windows || ' FROM sync_windows';
END $$;

-- Days whose messages in the warehouse are fewer than the ledger saw; none is as it should be.
-- Windows of a run that join are added up from their beginning, and compared with the messages up to the same moment. A
-- message of the very instant of a bound may be counted in either of two windows, so that a loss may only show in a later
-- one, on a later day. A window of several days counts to its first. Of several runs, the one is shown in which most is
-- missing. Messages that you have deleted, or that a stream map has filtered, are missing too: to leave out what was read
-- before that, add AND read_at > ... to the first lines.
WITH ledger AS (
    SELECT stream, run_id, window_from, window_to, messages FROM message_windows WHERE refused IS NOT TRUE
), stretches AS (
    SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY stream, run_id ORDER BY window_from) AS stretch
    FROM (
        SELECT *, window_from IS DISTINCT FROM lag(window_to) OVER (PARTITION BY stream, run_id ORDER BY window_from)
            AS begins
        FROM ledger
    ) AS it
), bounds AS (
    SELECT stream, window_to AS at FROM ledger
    UNION
    -- Requests begin a millisecond early.
    SELECT stream, window_from - interval '2 milliseconds' FROM stretches WHERE begins
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
    SELECT it.stream, it.run_id, stretch, window_from, window_to, messages,
           sum(messages) OVER so_far - until.sent + max(since.sent) OVER so_far AS lacking
    FROM stretches AS it
    JOIN counted AS until ON until.stream = it.stream AND until.at = window_to
    LEFT JOIN counted AS since
           ON begins AND since.stream = it.stream AND since.at = window_from - interval '2 milliseconds'
    WINDOW so_far AS (PARTITION BY it.stream, it.run_id, stretch ORDER BY window_from)
), lost AS (
    SELECT *, greatest(max(lacking) OVER (PARTITION BY stream, run_id, stretch ORDER BY window_from), 0) AS so_far
    FROM compared
), windows AS (
    SELECT *, so_far - lag(so_far, 1, 0) OVER (PARTITION BY stream, run_id, stretch ORDER BY window_from) AS missing
    FROM lost
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

-- Stretches of send time that were never read, between others that were; none is as it should be.
SELECT stream, read_to AS after, since AS up_to, since - read_to AS never_read
FROM (
    SELECT stream, window_from AS since,
           max(window_to) OVER (
               PARTITION BY stream ORDER BY window_from, window_to ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
           ) AS read_to
    FROM message_windows
) AS so_far
WHERE since > read_to
ORDER BY stream, read_to;

-- Windows that the vendor refused to show again, or that kept changing while they were read; none is as it should be.
-- Windows that were read and confirmed later are left out.
SELECT stream, window_from, window_to, reason, refused, read_at
FROM message_windows AS it
WHERE (refused OR NOT confirmed)
  AND NOT EXISTS (
      SELECT FROM message_windows AS later
      WHERE later.confirmed AND later.stream = it.stream AND later.read_at > it.read_at
        AND later.window_from <= it.window_from AND later.window_to >= it.window_to
  )
ORDER BY stream, window_from, read_at;

-- Windows that end after they were read, or in the future; there should be none. The clock of the machine that runs the tap was
-- ahead, or the loader shifted times by the time zone of its session.
SELECT stream, window_from, window_to, read_at
FROM message_windows
WHERE window_to > read_at OR window_to > now() AT TIME ZONE 'UTC'
ORDER BY stream, window_from;

-- How far each stream has been read, and how long ago that is (UTC).
SELECT stream, max(window_to) AS read_to, date_trunc('second', (now() AT TIME ZONE 'UTC') - max(window_to)) AS ago
FROM message_windows
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
