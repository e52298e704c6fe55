{#- The number of messages per stream, account and day in the model messages and in the loaded tables. -#}
{%- macro built_and_loaded() -%}
with built as (
    select stream, account, cast(sent_at as date) as day, count(*) as messages
    from {{ ref('messages') }}
    group by stream, account, cast(sent_at as date)
), loaded as (
    select stream, account, cast(sent_at as date) as day, count(*) as messages
    from {{ ref('int_msghistory__messages') }}
    where {{ msghistory.is_counted() }}
    group by stream, account, cast(sent_at as date)
)

select
    coalesce(built.stream, loaded.stream) as stream,
    coalesce(built.account, loaded.account) as account,
    coalesce(built.day, loaded.day) as day,
    coalesce(built.messages, 0) as built,
    coalesce(loaded.messages, 0) as loaded
from built
full outer join loaded
    on loaded.stream = built.stream and loaded.account = built.account and loaded.day = built.day
{%- endmacro -%}

{#- Whether a message of int_msghistory__messages is in the model messages: the export repeats the channels. -#}
{%- macro is_counted() -%}
    (vendor = 'edna' or stream {{ '=' if var('msghistory_use_export') else '<>' }} 'partner_gateway_history_export')
{%- endmacro -%}
