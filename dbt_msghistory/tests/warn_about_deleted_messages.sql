{{ config(severity='warn') }}

{#- Days of which rows were deleted from the loaded tables after an earlier build. They stay in messages. -#}
with built as (
    select stream, account, cast(sent_at as date) as day, count(*) as messages
    from {{ ref('messages') }}
    group by stream, account, cast(sent_at as date)
), loaded as (
    select stream, account, cast(sent_at as date) as day, count(*) as messages
    from {{ ref('int_msghistory__messages') }}
    where vendor = 'edna'
        or stream {{ '=' if var('msghistory_use_export') else '<>' }} 'partner_gateway_history_export'
    group by stream, account, cast(sent_at as date)
)

select
    coalesce(built.stream, loaded.stream) as stream,
    coalesce(built.account, loaded.account) as account,
    coalesce(built.day, loaded.day) as day,
    built.messages as built,
    loaded.messages as loaded
from built
full outer join loaded
    on loaded.stream = built.stream and loaded.account = built.account and loaded.day = built.day
where built.messages > coalesce(loaded.messages, 0)
