{{ config(
    materialized='incremental',
    unique_key='message_key',
    incremental_strategy=msghistory.replacing_strategy(),
    on_schema_change='append_new_columns',
    indexes=[{'columns': ['message_key'], 'unique': true}, {'columns': ['sent_at']}] if target.type == 'postgres' else [],
) }}

{#-
    Each message with its latest status.

    The ledger tells which messages can have changed since the last build: those in windows that were read since.
    Only these are processed again. Streams without a ledger are processed as a whole.
-#}

with positions as (
    select stream, account, max(read_at) as ledger_read_at
    from {{ ref('int_msghistory__seen_windows') }}
    where not is_refused
    group by stream, account
), all_messages as (
    select messages.*, positions.ledger_read_at
    from (select * from {{ ref('int_msghistory__messages') }} where {{ msghistory.is_counted() }}) as messages
    left join positions on positions.stream = messages.stream and positions.account = messages.account
)

select all_messages.*, {{ msghistory.time_literal(run_started_at) }} as built_at
from all_messages
{% if var('msghistory_introspect') and is_incremental() %}
where ledger_read_at is null
{%- for stream, account, start, end in msghistory.unprocessed_ranges(this) %}
    or (
        stream = {{ msghistory.text_literal(stream) }}
        and account = {{ msghistory.text_literal(account) }}
        and sent_at between {{ msghistory.time_literal(start) }} and {{ msghistory.time_literal(end) }}
    )
{%- endfor %}
{% endif %}
