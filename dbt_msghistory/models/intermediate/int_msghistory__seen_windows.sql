{{ config(
    materialized='incremental',
    incremental_strategy='merge' if target.type == 'bigquery' else 'append',
) }}

{#-
    The ledger's windows, with the time of the first build that saw each of them.

    The time at which a window was read cannot tell whether a build has processed it: shards and late loads add older
    windows.
-#}
select windows.*, {{ msghistory.time_literal(run_started_at) }} as seen_at
from {{ ref('int_msghistory__windows') }} as windows
{% if var('msghistory_introspect') and is_incremental() %}
where not exists (
    select 1
    from {{ this }} as seen
    where
        seen.run_id = windows.run_id
        and seen.stream = windows.stream
        and seen.account = windows.account
        and seen.window_from = windows.window_from
)
{% endif %}
