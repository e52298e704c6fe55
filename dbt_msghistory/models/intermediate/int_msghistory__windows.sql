{#- The ledger's windows that were read, with the vendor of their stream. -#}
select
    case when stream = 'edna_history' then 'edna' else 'partner_gateway' end as vendor,
    coalesce(account, '') as account,
    stream,
    run_id,
    window_from,
    window_to,
    reason,
    messages,
    rejected,
    requests,
    retries,
    seconds,
    confirmed,
    coalesce(refused, false) as is_refused,
    read_at
from {{ ref('stg_msghistory__sync_windows') }}
