{{ config(enabled=var('msghistory_status_history')) }}

{#- Changes of status that a later sync has seen, from the snapshot. -#}
with versions as (
    select
        history.*,
        lag(status) over (partition by message_key order by dbt_valid_from) as from_status
    from {{ ref('message_status_history') }} as history
)

select
    message_key,
    vendor,
    account,
    channel,
    from_status,
    status as to_status,
    sent_at,
    ledger_read_at as seen_at,
    {{ msghistory.seconds_between('sent_at', 'ledger_read_at') }} as seconds_after_send
from versions
where from_status <> status
