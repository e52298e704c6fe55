{#-
    Days of which messages lacks rows that the loaded tables have: a build has missed a change. Run dbt build with
    --full-refresh.
-#}
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
where coalesce(built.messages, 0) < loaded.messages
