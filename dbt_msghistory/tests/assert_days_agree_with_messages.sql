-- Days for which daily_deliverability and messages disagree.
with days as (
    select day, sum(sent) as sent, sum(delivered) as delivered, sum(failed) as failed
    from {{ ref('daily_deliverability') }}
    group by day
), counted as (
    select
        cast(sent_at as date) as day,
        count(*) as sent,
        count(case when outcome = 'delivered' then 1 end) as delivered,
        count(case when outcome = 'failed' then 1 end) as failed
    from {{ ref('messages') }}
    where direction = 'outgoing'
    group by cast(sent_at as date)
)

select coalesce(days.day, counted.day) as day, days.sent as sent_in_days, counted.sent
from days
full outer join counted on counted.day = days.day
where days.sent is null
    or counted.sent is null
    or days.sent <> counted.sent
    or days.delivered <> counted.delivered
    or days.failed <> counted.failed
