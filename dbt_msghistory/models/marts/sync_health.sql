{#- What the syncs of a day read, and how far they reached. -#}
with windows as (
    select * from {{ ref('int_msghistory__windows') }}
), ordered as (
    select
        windows.*,
        max(window_to) over (
            partition by stream, account order by window_from, window_to
            rows between unbounded preceding and 1 preceding
        ) as read_before
    from windows
    -- Revisits read only what was read before. A reread may fill a gap.
    where reason <> 'revisit' and not is_refused
), gaps as (
    select stream, account, cast(read_at as date) as day, count(*) as gaps
    from ordered
    where window_from > read_before
    group by stream, account, cast(read_at as date)
), days as (
    select
        cast(read_at as date) as day,
        vendor,
        account,
        stream,
        count(distinct run_id) as runs,
        count(*) as windows,
        sum(messages) as messages,
        sum(rejected) as rejected,
        sum(requests) as requests,
        sum(retries) as retries,
        sum(seconds) as seconds,
        count(case when reason = 'revisit' then 1 end) as revisits,
        sum(case when reason = 'revisit' then messages else 0 end) as revisited_messages,
        count(case when not is_refused and not confirmed then 1 end) as unconfirmed_windows,
        count(case when is_refused then 1 end) as refused_windows,
        max(case when reason <> 'reread' then window_to end) as day_read_to,
        max(case when reason <> 'reread' then read_at end) as day_synced_at,
        max(read_at) as last_read_at
    from windows
    group by cast(read_at as date), vendor, account, stream
), reached as (
    select
        days.*,
        max(day_read_to) over (
            partition by stream, account order by day rows between unbounded preceding and current row
        ) as read_to
    from days
)

select
    reached.day,
    reached.vendor,
    reached.account,
    reached.stream,
    reached.runs,
    reached.windows,
    reached.messages,
    reached.rejected,
    reached.requests,
    reached.retries,
    reached.seconds,
    reached.revisits,
    reached.revisited_messages,
    reached.unconfirmed_windows,
    reached.refused_windows,
    coalesce(gaps.gaps, 0) as gaps,
    reached.read_to,
    reached.last_read_at,
    {{ msghistory.seconds_between('reached.read_to', 'reached.day_synced_at') }} as lag_seconds
from reached
left join gaps on gaps.stream = reached.stream and gaps.account = reached.account and gaps.day = reached.day
