-- Number of messages per stream and day in a BigQuery warehouse, as CSV for tap-msghistory --reconcile:
--   bq query --dataset_id=msghistory --format=csv --max_rows=1000000 --use_legacy_sql=false < reconcile-bigquery.sql
-- Replace msghistory with the dataset that contains the tables. Remove the tables that do not exist from the first query. If the
-- loader changes the names of columns (for example to message_id), change them here too. With several accounts, add a condition
-- on the column account to each FROM.

-- The days and the treatment of rejected messages are those of reconcile.sql. The times are columns of type TIMESTAMP, and
-- message is of type JSON or STRING.
WITH accepted AS (
    SELECT 'edna_history' AS stream, CAST(messageId AS STRING) AS id, sentOrReceivedAt AS sent_at, address AS recipient
    FROM edna_history
    UNION ALL
    SELECT 'partner_gateway_history_sms', messageId, sendDate, destination FROM partner_gateway_history_sms
    UNION ALL
    SELECT 'partner_gateway_history_rcs', messageId, sendDate, destination FROM partner_gateway_history_rcs
    UNION ALL
    SELECT 'partner_gateway_history_whatsapp', messageId, sendDate, destination FROM partner_gateway_history_whatsapp
), rejected AS (
    SELECT DISTINCT stream, JSON_VALUE(message, '$.messageId') AS id,
           TIMESTAMP_TRUNC(
               SAFE_CAST(COALESCE(JSON_VALUE(message, '$.sentOrReceivedAt'), JSON_VALUE(message, '$.sendDate')) AS TIMESTAMP),
               MILLISECOND
           ) AS sent_at,
           COALESCE(JSON_VALUE(message, '$.address'), JSON_VALUE(message, '$.destination')) AS recipient
    FROM rejected_messages
), loaded AS (
    SELECT stream, MIN(windowFrom) AS starts_at, MAX(windowTo) AS ends_at
    FROM sync_windows
    WHERE reason <> 'reread' AND refused IS NOT TRUE
    GROUP BY stream
), messages AS (
    SELECT stream, sent_at FROM accepted
    UNION ALL
    SELECT rejected.stream, rejected.sent_at
    FROM rejected
    LEFT JOIN accepted
           ON accepted.stream = rejected.stream AND accepted.id = rejected.id AND accepted.sent_at = rejected.sent_at
          AND COALESCE(accepted.recipient, '') = COALESCE(rejected.recipient, '')
    WHERE rejected.sent_at IS NOT NULL AND accepted.stream IS NULL
), counts AS (
    SELECT stream, TIMESTAMP_TRUNC(TIMESTAMP_SUB(sent_at, INTERVAL 1 MILLISECOND), DAY) AS day,
           COUNT(*) AS messages, MIN(sent_at) AS first_sent, MAX(sent_at) AS last_sent
    FROM messages LEFT JOIN loaded USING (stream)
    WHERE sent_at <= ends_at OR ends_at IS NULL
    GROUP BY stream, day
), sent AS (
    SELECT stream, TIMESTAMP_SUB(MIN(first_sent), INTERVAL 1 MILLISECOND) AS starts_at, MAX(last_sent) AS ends_at
    FROM counts
    GROUP BY stream
), periods AS (
    SELECT stream, LEAST(COALESCE(loaded.starts_at, sent.starts_at), COALESCE(sent.starts_at, loaded.starts_at)) AS starts_at,
           COALESCE(loaded.ends_at, sent.ends_at) AS ends_at
    FROM loaded FULL JOIN sent USING (stream)
    WHERE stream <> 'partner_gateway_history_export'
), days AS (
    SELECT stream, starts_at, ends_at, day
    FROM periods
    CROSS JOIN UNNEST(GENERATE_TIMESTAMP_ARRAY(
        TIMESTAMP_TRUNC(starts_at, DAY), TIMESTAMP_SUB(ends_at, INTERVAL 1 MILLISECOND), INTERVAL 1 DAY
    )) AS day
    WHERE starts_at < ends_at
)
SELECT stream, FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%E3SZ', GREATEST(day, starts_at)) AS `from`,
       FORMAT_TIMESTAMP('%Y-%m-%dT%H:%M:%E3SZ', LEAST(TIMESTAMP_ADD(day, INTERVAL 1 DAY), ends_at)) AS `to`,
       COALESCE(messages, 0) AS messages
FROM days LEFT JOIN counts USING (stream, day)
ORDER BY stream, day;
