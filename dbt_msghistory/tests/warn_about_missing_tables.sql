{{ config(severity='warn') }}

{#- The variable msghistory_schema is wrong, or the stream sync_windows is not selected. -#}
{%- set ledger = load_relation(source('msghistory', 'sync_windows')) if execute and var('msghistory_introspect') else true %}
select 'sync_windows' as missing_table
{{ 'limit 0' if ledger }}
