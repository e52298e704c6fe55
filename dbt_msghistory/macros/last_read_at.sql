{#- A query for the time of the ledger's last window, for the freshness of the source. -#}
{%- macro last_read_at() -%}
    select max(read_at) from ({{ msghistory.loaded_stream('sync_windows', [['readAt', 'time', 'read_at']]) }}) as windows
{%- endmacro -%}
