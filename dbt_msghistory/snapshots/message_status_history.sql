{% snapshot message_status_history %}
{{ config(
    enabled=var('msghistory_status_history'),
    unique_key='message_key',
    strategy='check',
    check_cols=['status'],
    updated_at='ledger_read_at',
) }}

{#- Each status that a sync has seen, and since when: the time up to which the ledger had been written. -#}
select message_key, vendor, account, channel, status, vendor_status, sent_at, ledger_read_at
from {{ ref('messages') }}
where direction = 'outgoing' and ledger_read_at is not null
{% endsnapshot %}
