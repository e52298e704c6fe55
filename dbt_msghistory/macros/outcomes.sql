{#- Numbers of outgoing messages by outcome: sent = delivered + failed + open. Read messages were delivered too. -#}
{%- macro outcome_counts() -%}
    count(*) as sent,
    count(case when outcome = 'delivered' then 1 end) as delivered,
    count(case when status = 'read' then 1 end) as read,
    count(case when outcome = 'failed' then 1 end) as failed,
    count(case when outcome = 'open' then 1 end) as open
{%- endmacro -%}

{#- The share (0 to 1) of delivered messages among those with an outcome; null if no message has one. -#}
{%- macro delivery_rate() -%}
    {{ msghistory.share("outcome = 'delivered'", "outcome in ('delivered', 'failed')") }}
{%- endmacro -%}

{%- macro share(condition, base) -%}
    cast(count(case when {{ condition }} then 1 end) as {{ dbt.type_float() }})
        / nullif(count(case when {{ base }} then 1 end), 0)
{%- endmacro -%}
