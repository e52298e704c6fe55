"""The report's queries. All aggregate in the database, so that the page stays small.

They use only SQL that PostgreSQL and DuckDB share. The period is the last `{days}` days with messages.
"""

from __future__ import annotations

#: Marts that a report needs.
REQUIRED = ("messages", "daily_deliverability", "recipient_summary", "sync_health", "daily_completeness")
#: Exists if the dbt variable msghistory_status_history is true.
STATUS_CHANGES = "status_changes"

_PERIOD = "(SELECT coalesce(max(day), DATE '1970-01-01') - {days} FROM {schema}.daily_deliverability)"

#: The instant to which ages refer: the end of the last sync.
_AS_OF = "(SELECT coalesce(max(ledger_read_at), max(sent_at)) FROM {schema}.messages)"

_AGE = """CASE
        WHEN {seconds} < 3600 THEN 'under 1 hour'
        WHEN {seconds} < 86400 THEN '1 hour to 1 day'
        WHEN {seconds} < 3 * 86400 THEN '1 to 3 days'
        WHEN {seconds} < 7 * 86400 THEN '3 to 7 days'
        WHEN {seconds} < 30 * 86400 THEN '7 to 30 days'
        ELSE 'over 30 days'
    END"""
AGES = ("under 1 hour", "1 hour to 1 day", "1 to 3 days", "3 to 7 days", "7 to 30 days", "over 30 days")

SUMMARY = f"""
SELECT coalesce(sum(sent), 0) AS sent,
       sum(delivered) * 1.0 / nullif(sum(delivered) + sum(failed), 0) AS delivery_rate,
       coalesce(sum(open), 0) AS open,
       sum(cost) AS cost,
       min(day) AS first_day,
       max(day) AS last_day
FROM {{schema}}.daily_deliverability
WHERE day > {_PERIOD}
"""

MEDIAN_DELIVERY = f"""
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds_to_delivery) AS seconds
FROM {{schema}}.messages
WHERE direction = 'outgoing' AND sent_at >= {_PERIOD} + 1
"""

COMPLETENESS = "SELECT coalesce(sum(missing), 0) AS missing FROM {schema}.daily_completeness"

LAST_SYNC = "SELECT max(last_read_at) AS last_read_at FROM {schema}.sync_health"

STOP_SENDING = """
SELECT count(CASE WHEN stop_sending THEN 1 END) AS recipients, count(*) AS all_recipients
FROM {schema}.recipient_summary
"""

VOLUME = f"""
SELECT day, channel, sum(sent) AS messages
FROM {{schema}}.daily_deliverability
WHERE day > {_PERIOD}
GROUP BY day, channel
ORDER BY day, channel
"""

#: A rate of fewer outcomes is left to chance.
MIN_MESSAGES = 20

DELIVERY_RATE = f"""
WITH days AS (
    SELECT day, channel, sum(delivered) AS delivered, sum(failed) AS failed
    FROM {{schema}}.daily_deliverability
    WHERE day > {_PERIOD}
    GROUP BY day, channel
    HAVING sum(delivered) + sum(failed) > 0
)
SELECT day, channel, delivered, failed, delivered * 1.0 / (delivered + failed) AS delivery_rate,
       CASE
           WHEN sum(delivered + failed) OVER week >= {MIN_MESSAGES}
           THEN sum(delivered) OVER week * 1.0 / sum(delivered + failed) OVER week
       END AS weekly_rate
FROM days
WINDOW week AS (
    PARTITION BY channel ORDER BY day RANGE BETWEEN INTERVAL '6' DAY PRECEDING AND CURRENT ROW
)
ORDER BY day, channel
"""

#: Four bins per power of ten. A delivery within 0.1 s counts as 0.1 s.
DELIVERY_TIME = f"""
SELECT channel, bin, power(10, bin / 4.0) AS from_seconds, power(10, (bin + 1) / 4.0) AS to_seconds,
       count(*) AS messages, count(*) * 1.0 / sum(count(*)) OVER (PARTITION BY channel) AS share,
       sum(CASE WHEN seconds_to_delivery <= 60 THEN 1 ELSE 0 END) AS within_minute
FROM (
    SELECT channel, seconds_to_delivery,
           CAST(floor(log10(greatest(seconds_to_delivery, 0.1)) * 4) AS integer) AS bin
    FROM {{schema}}.messages
    WHERE direction = 'outgoing' AND seconds_to_delivery IS NOT NULL AND sent_at >= {_PERIOD} + 1
) AS binned
GROUP BY channel, bin
ORDER BY channel, bin
"""

STATUSES = f"""
SELECT age, status, count(*) AS messages
FROM (
    SELECT status, {_AGE.replace("{seconds}", "seconds")} AS age
    FROM (
        SELECT status, extract(epoch FROM {_AS_OF} - sent_at) AS seconds
        FROM {{schema}}.messages
        WHERE direction = 'outgoing'
    ) AS ages
) AS grouped
GROUP BY age, status
ORDER BY age, status
"""

CHANGES = f"""
SELECT age, from_status, to_status, count(*) AS messages
FROM (
    SELECT from_status, to_status, {_AGE.replace("{seconds}", "seconds_after_send")} AS age
    FROM {{schema}}.status_changes
) AS changes
GROUP BY age, from_status, to_status
ORDER BY age, messages DESC, from_status, to_status
"""

#: Senders with a colour of their own in the costs; the cheapest are added up, because there may be thousands.
TOP_SENDERS = 7
OTHERS = "(others)"
_SENDER = "CASE WHEN sender = '' THEN '(unknown)' ELSE sender END"
COST = f"""
WITH costs AS (
    SELECT day, sender, sum(cost) AS cost
    FROM {{schema}}.daily_deliverability
    WHERE day > {_PERIOD} AND cost IS NOT NULL
    GROUP BY day, sender
), senders AS (
    SELECT sender, {_SENDER} AS name, row_number() OVER (ORDER BY sum(cost) DESC, sender) AS place
    FROM costs
    GROUP BY sender
), labelled AS (
    SELECT costs.day, costs.cost, least(senders.place, {TOP_SENDERS} + 1) AS place,
           CASE WHEN senders.place > {TOP_SENDERS} THEN '{OTHERS}' ELSE senders.name END AS sender
    FROM costs
    INNER JOIN senders ON senders.sender = costs.sender
)
SELECT day, sender, place, sum(cost) AS cost, (SELECT count(*) FROM senders) AS senders
FROM labelled
GROUP BY day, sender, place
ORDER BY day, place
"""

CALENDAR = f"""
SELECT day, stream, sum(messages_in_ledger) AS in_ledger, sum(messages_in_warehouse) AS in_warehouse,
       sum(missing) AS missing
FROM {{schema}}.daily_completeness
WHERE day > {_PERIOD}
GROUP BY day, stream
ORDER BY day, stream
"""

FAILING_SENDERS = f"""
SELECT {_SENDER} AS sender, channel, sum(sent) AS sent, sum(failed) AS failed,
       sum(failed) * 1.0 / (sum(delivered) + sum(failed)) AS failure_rate
FROM {{schema}}.daily_deliverability
WHERE day > {_PERIOD}
GROUP BY {_SENDER}, channel
HAVING sum(delivered) + sum(failed) >= {MIN_MESSAGES} AND sum(failed) > 0
ORDER BY failure_rate DESC, 1, channel
LIMIT 15
"""
