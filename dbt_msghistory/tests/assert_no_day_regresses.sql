{#-
    Days for which messages and the loaded tables disagree: rows were deleted from the tables since the last build,
    or the model has missed a change. Repair the tables, or run dbt build --full-refresh.
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
where coalesce(built.messages, 0) <> coalesce(loaded.messages, 0)
