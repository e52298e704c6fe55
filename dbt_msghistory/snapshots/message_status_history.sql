{% snapshot message_status_history %}
{{ config(
    enabled=var('msghistory_status_history'),
    unique_key='message_key',
    strategy='check',
    check_cols=['status'],
) }}

{#- Each status that a build has seen. ledger_read_at is the time of the last window that had been read then. -#}
select message_key, vendor, account, channel, status, vendor_status, sent_at, ledger_read_at
from {{ ref('messages') }}
where direction = 'outgoing' and ledger_read_at is not null
{% endsnapshot %}
