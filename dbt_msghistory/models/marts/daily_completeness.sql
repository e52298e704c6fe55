{#-
    The messages in the warehouse per day, and how many of those that the ledger counted at the vendor are missing.

    Within a sequence of adjacent windows of a run, the cumulative count of the ledger is compared with the number
    of messages in the warehouse up to the same time. A message sent exactly at a bound may be counted in either of
    two windows, so a loss may be reported for a later window. Messages that appeared after a window was read would
    hide later losses, so each window is also compared alone, with bounds that are five minutes wider, because a vendor
    may select by a time near the send time. A window of several days is assigned to its first day.
-#}
with recent as (
    select *
    from {{ ref('int_msghistory__windows') }}
    where not is_refused
), ledger as (
    select recent.*
    from recent
    where read_at >= (
        select {{ msghistory.plus_milliseconds('max(read_at)', -86400000 * var('msghistory_completeness_days')) }}
        from recent
    )
), adjacency as (
    select
        ledger.*,
        case
            when window_from = lag(window_to) over (partition by stream, account, run_id order by window_from) then 0
            else 1
        end as is_first
    from ledger
), sequences as (
    select
        adjacency.*,
        sum(is_first) over (
            partition by stream, account, run_id order by window_from rows between unbounded preceding and current row
        ) as sequence
    from adjacency
), sent as (
    select stream, account, sent_at from {{ ref('int_msghistory__messages') }}
), bounds as (
    select stream, account, window_to as at_time from sequences
    union distinct
    -- The range of a request starts one millisecond before its window.
    select stream, account, {{ msghistory.plus_milliseconds('window_from', -2) }} as at_time
    from sequences
    where is_first = 1
    union distinct
    select stream, account, {{ msghistory.plus_milliseconds('window_from', -300000) }} as at_time from sequences
    union distinct
    select stream, account, {{ msghistory.plus_milliseconds('window_to', 300000) }} as at_time from sequences
), bounds_and_messages as (
    select stream, account, at_time, 1 as is_bound from bounds
    union all
    select stream, account, sent_at as at_time, 0 as is_bound from sent
), counted as (
    -- The number of messages sent up to each bound, in one pass in send order.
    select
        stream,
        account,
        at_time,
        is_bound,
        sum(1 - is_bound) over (
            partition by stream, account order by at_time, is_bound
            rows between unbounded preceding and current row
        ) as sent
    from bounds_and_messages
), compared as (
    select
        sequences.*,
        sum(sequences.messages) over (
            partition by sequences.stream, sequences.account, sequences.run_id, sequences.sequence
            order by sequences.window_from rows between unbounded preceding and current row
        )
        + max(up_to_start.sent) over (
            partition by sequences.stream, sequences.account, sequences.run_id, sequences.sequence
        )
        - up_to_end.sent as difference,
        sequences.messages - (after_end.sent - before_start.sent) as own_difference
    from sequences
    inner join counted as up_to_end
        on up_to_end.is_bound = 1
        and up_to_end.stream = sequences.stream
        and up_to_end.account = sequences.account
        and up_to_end.at_time = sequences.window_to
    left join counted as up_to_start
        on sequences.is_first = 1
        and up_to_start.is_bound = 1
        and up_to_start.stream = sequences.stream
        and up_to_start.account = sequences.account
        and up_to_start.at_time = {{ msghistory.plus_milliseconds('sequences.window_from', -2) }}
    inner join counted as before_start
        on before_start.is_bound = 1
        and before_start.stream = sequences.stream
        and before_start.account = sequences.account
        and before_start.at_time = {{ msghistory.plus_milliseconds('sequences.window_from', -300000) }}
    inner join counted as after_end
        on after_end.is_bound = 1
        and after_end.stream = sequences.stream
        and after_end.account = sequences.account
        and after_end.at_time = {{ msghistory.plus_milliseconds('sequences.window_to', 300000) }}
), totals as (
    select
        compared.*,
        greatest(max(difference) over (
            partition by stream, account, run_id, sequence order by window_from
            rows between unbounded preceding and current row
        ), 0) as total_missing
    from compared
), missing as (
    select
        totals.*,
        greatest(own_difference, total_missing - coalesce(lag(total_missing) over (
            partition by stream, account, run_id, sequence order by window_from
        ), 0)) as missing
    from totals
), runs as (
    select stream, account, run_id, cast(window_from as date) as day, sum(missing) as missing
    from missing
    group by stream, account, run_id, cast(window_from as date)
), days as (
    -- If several runs read a day, the one with the most missing messages counts.
    select stream, account, day, max(missing) as missing
    from runs
    group by stream, account, day
), in_warehouse as (
    select stream, account, cast(sent_at as date) as day, count(*) as messages
    from sent
    group by stream, account, cast(sent_at as date)
), listed as (
    select stream, account, day from days
    union distinct
    select stream, account, day from in_warehouse
)

select
    listed.day,
    case when listed.stream = 'edna_history' then 'edna' else 'partner_gateway' end as vendor,
    listed.account,
    listed.stream,
    coalesce(in_warehouse.messages, 0) + coalesce(days.missing, 0) as messages_in_ledger,
    coalesce(in_warehouse.messages, 0) as messages_in_warehouse,
    coalesce(days.missing, 0) as missing
from listed
left join days on days.stream = listed.stream and days.account = listed.account and days.day = listed.day
left join in_warehouse
    on in_warehouse.stream = listed.stream
    and in_warehouse.account = listed.account
    and in_warehouse.day = listed.day
