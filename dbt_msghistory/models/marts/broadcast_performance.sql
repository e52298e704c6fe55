{#- Outgoing messages per broadcast (edna) or campaign (partner gateway). -#}
select
    vendor,
    account,
    channel,
    broadcast_id,
    max(broadcast_name) as broadcast_name,
    min(sent_at) as first_sent_at,
    max(sent_at) as last_sent_at,
    {{ msghistory.outcome_counts() }},
    {{ msghistory.delivery_rate() }} as delivery_rate,
    {{ msghistory.share("status = 'read'", "outcome = 'delivered'") }} as read_rate,
    {{ msghistory.quantile('seconds_to_delivery', 0.5) }} as median_seconds_to_delivery,
    sum(cost) as cost
from {{ ref('messages') }}
where direction = 'outgoing' and broadcast_id is not null
group by vendor, account, channel, broadcast_id
