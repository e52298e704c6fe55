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

with windows as (
    select * from {{ ref('int_msghistory__windows') }} where not is_refused
), positions as (
    select stream, account, max(read_at) as ledger_read_at from windows group by stream, account
), all_messages as (
    select messages.*, positions.ledger_read_at
    from {{ ref('int_msghistory__messages') }} as messages
    left join positions on positions.stream = messages.stream and positions.account = messages.account
    where messages.vendor = 'edna'
        or messages.stream {{ '=' if var('msghistory_use_export') else '<>' }} 'partner_gateway_history_export'
)

{% if is_incremental() %}
, processed as (
    select stream, account, max(ledger_read_at) as ledger_read_at from {{ this }} group by stream, account
), new_windows as (
    select windows.stream, windows.account, windows.window_from, windows.window_to
    from windows
    left join processed on processed.stream = windows.stream and processed.account = windows.account
    where
        processed.ledger_read_at is null
        or windows.read_at > {{ msghistory.plus_milliseconds(
            'processed.ledger_read_at', -3600000 * var('msghistory_ledger_lookback_hours')) }}
), changed as (
    select all_messages.*
    from all_messages
    where
        all_messages.ledger_read_at is null
        or exists (
            select 1
            from new_windows
            where
                new_windows.stream = all_messages.stream
                and new_windows.account = all_messages.account
                -- Vendors differ in whether the bounds of a request are inclusive.
                and all_messages.sent_at >= {{ msghistory.plus_milliseconds('new_windows.window_from', -2) }}
                and all_messages.sent_at <= {{ msghistory.plus_milliseconds('new_windows.window_to', 2) }}
        )
)
{% endif %}

select
    selected.*,
    cast('{{ run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") }}' as {{ dbt.type_timestamp() }}) as built_at
from {{ 'changed' if is_incremental() else 'all_messages' }} as selected
