{{ config(
    materialized='incremental',
    unique_key='day' if target.type != 'bigquery' else none,
    incremental_strategy='insert_overwrite' if target.type == 'bigquery' else 'delete+insert',
    partition_by={'field': 'day', 'data_type': 'date'} if target.type == 'bigquery' else none,
    on_schema_change='append_new_columns',
) }}

{#- Outgoing messages per day, channel and sender. A changed message updates the day on which it was sent. -#}

with sent as (
    select messages.*, cast(sent_at as date) as day
    from {{ ref('messages') }} as messages
    where direction = 'outgoing'
)

{% if var('msghistory_introspect') and is_incremental() %}
, changed_days as (
    select distinct day
    from sent
    cross join (select max(built_at) as built_at from {{ this }}) as last_build
    where last_build.built_at is null or sent.built_at > last_build.built_at
    union distinct
    -- A message has left the day, because its send time changed.
    select built.day
    from (select day, sum(sent) as sent from {{ this }} group by day) as built
    inner join (select day, count(*) as sent from sent group by day) as counted on counted.day = built.day
    where built.sent <> counted.sent
)
{% endif %}

select
    day,
    vendor,
    account,
    channel,
    sender,
    {{ msghistory.outcome_counts() }},
    {{ msghistory.delivery_rate() }} as delivery_rate,
    {{ msghistory.quantile('seconds_to_delivery', 0.5) }} as median_seconds_to_delivery,
    {{ msghistory.quantile('seconds_to_delivery', 0.95) }} as p95_seconds_to_delivery,
    sum(cost) as cost,
    max(built_at) as built_at
from sent
{% if var('msghistory_introspect') and is_incremental() %}
where day in (select day from changed_days)
{% endif %}
group by day, vendor, account, channel, sender
