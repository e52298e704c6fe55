-- Number of messages per stream and day in a PostgreSQL warehouse, as CSV for tap-msghistory --reconcile:
--   psql -q --csv -v ON_ERROR_STOP=1 -c 'SET search_path TO msghistory' -f reconcile.sql
-- Replace msghistory with the schema that contains the tables. If they contain several accounts, name the one in the tap's
-- setting account: add -c "SET msghistory.account TO 'retail'" before -f.

-- A day is the time from 00:00 UTC (exclusive) to 24:00 UTC (inclusive). The days of a stream are those that were read according
-- to the ledger, sync_windows, including days without messages. Without a ledger, they are the days from the first to the last
-- message. The stream partner_gateway_history_export is not listed, because the messages of an export cannot be counted.
CREATE OR REPLACE FUNCTION pg_temp.column_of(relation text, name text) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce((
        SELECT CASE WHEN atttypid = 'timestamptz'::regtype THEN format('(%I AT TIME ZONE ''UTC'')', attname) ELSE quote_ident(attname) END
        FROM pg_attribute
        WHERE attrelid = to_regclass(quote_ident(relation)) AND replace(lower(attname), '_', '') = lower(name) AND attnum > 0 AND NOT attisdropped
        ORDER BY attname = name DESC
        LIMIT 1
    ), 'NULL')
$$;
CREATE OR REPLACE FUNCTION pg_temp.utc_time(text text) RETURNS timestamp LANGUAGE plpgsql SET timezone TO 'UTC' AS $$
BEGIN
    RETURN date_trunc('milliseconds', text::timestamptz AT TIME ZONE 'UTC');
EXCEPTION WHEN others THEN
    RETURN NULL; -- not readable
END $$;
DO $$
DECLARE
    nothing text := 'SELECT NULL::text, NULL::text, NULL::timestamp, NULL::timestamp, NULL::text, NULL::text WHERE false';
    histories text;
    rejected text := nothing;
    windows text := nothing;
BEGIN
    SELECT string_agg(format('SELECT %L, coalesce(%s::text, ''''), %s::timestamp, NULL::timestamp, %s::text, %s::text FROM %I',
        name, pg_temp.column_of(name, 'account'), pg_temp.column_of(name, sent_at), pg_temp.column_of(name, 'messageId'),
        pg_temp.column_of(name, recipient), name), ' UNION ALL ')
    INTO histories
    FROM (VALUES
        ('edna_history', 'sentOrReceivedAt', 'address'),
        ('partner_gateway_history_sms', 'sendDate', 'destination'),
        ('partner_gateway_history_rcs', 'sendDate', 'destination'),
        ('partner_gateway_history_whatsapp', 'sendDate', 'destination')
    ) AS known (name, sent_at, recipient)
    WHERE to_regclass(quote_ident(name)) IS NOT NULL;
    IF pg_temp.column_of('rejected_messages', 'message') <> 'NULL' THEN
        rejected := format($query$
            SELECT stream, coalesce(%s::text, ''), pg_temp.utc_time(coalesce(message ->> 'sentOrReceivedAt', message ->> 'sendDate')),
                   NULL::timestamp, message ->> 'messageId', coalesce(message ->> 'address', message ->> 'destination')
            FROM (SELECT stream, %1$s, message::jsonb AS message FROM rejected_messages) AS rejected
        $query$, pg_temp.column_of('rejected_messages', 'account'));
    END IF;
    IF to_regclass('sync_windows') IS NOT NULL THEN
        windows := format($query$
            SELECT stream, coalesce(%s::text, ''), %s::timestamp, %s::timestamp, NULL::text, NULL::text
            FROM sync_windows
            WHERE reason <> 'reread' AND refused IS NOT TRUE
        $query$, pg_temp.column_of('sync_windows', 'account'), pg_temp.column_of('sync_windows', 'windowFrom'),
            pg_temp.column_of('sync_windows', 'windowTo'));
    END IF;
    EXECUTE 'CREATE OR REPLACE TEMPORARY VIEW accepted_messages (stream, account, sent_at, unused, id, recipient) AS '
        || coalesce(histories, nothing);
    EXECUTE 'CREATE OR REPLACE TEMPORARY VIEW rejected_rows (stream, account, sent_at, unused, id, recipient) AS ' || rejected;
    EXECUTE 'CREATE OR REPLACE TEMPORARY VIEW read_windows (stream, account, starts_at, ends_at, unused, unused_too) AS ' || windows;
END $$;

WITH read AS (
    SELECT stream, account, min(starts_at) AS starts_at, max(ends_at) AS ends_at
    FROM read_windows
    WHERE stream <> 'partner_gateway_history_export'
    GROUP BY 1, 2
), messages AS (
    SELECT stream, account, sent_at FROM accepted_messages
    UNION ALL
    -- The vendor counts messages that the tap rejected too. One that was rejected several times counts once, and one that was
    -- accepted in another run does not count again. If its send time is not readable, its day is unknown, and it does not count.
    SELECT stream, account, sent_at
    FROM (SELECT DISTINCT stream, account, sent_at, id, recipient FROM rejected_rows WHERE sent_at IS NOT NULL) AS rejected
    WHERE stream <> 'partner_gateway_history_export' AND NOT EXISTS (
        SELECT FROM accepted_messages AS accepted
        WHERE accepted.stream = rejected.stream AND accepted.account = rejected.account AND accepted.sent_at = rejected.sent_at
          AND accepted.id = rejected.id AND accepted.recipient IS NOT DISTINCT FROM rejected.recipient
    )
), counts AS (
    SELECT stream, account, date_trunc('day', sent_at - interval '1 millisecond') AS day,
           count(*) AS messages, min(sent_at) AS first_sent, max(sent_at) AS last_sent
    FROM messages LEFT JOIN read USING (stream, account)
    WHERE sent_at <= ends_at OR ends_at IS NULL
    GROUP BY 1, 2, 3
), sent AS (
    SELECT stream, account, min(first_sent) - interval '1 millisecond' AS starts_at, max(last_sent) AS ends_at
    FROM counts
    GROUP BY 1, 2
), periods AS (
    -- If old rows of the ledger were deleted, the messages before its first row count too.
    SELECT stream, account, least(read.starts_at, sent.starts_at) AS starts_at, coalesce(read.ends_at, sent.ends_at) AS ends_at
    FROM read FULL JOIN sent USING (stream, account)
    WHERE account = coalesce(nullif(current_setting('msghistory.account', true), ''), account)
)
SELECT stream, nullif(account, '') AS account,
       to_char(greatest(day, starts_at), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "from",
       to_char(least(day + interval '1 day', ends_at), 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "to",
       coalesce(messages, 0) AS messages
FROM periods
CROSS JOIN LATERAL generate_series(date_trunc('day', starts_at), ends_at - interval '1 millisecond', interval '1 day') AS day
LEFT JOIN counts USING (stream, account, day)
WHERE starts_at < ends_at
ORDER BY stream, account, day;
