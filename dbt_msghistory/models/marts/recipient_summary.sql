{#- The history of each recipient, and whether to stop sending: the latest messages have all failed. -#}
with sent as (
    select
        messages.*,
        row_number() over (
            partition by vendor, account, channel, address_hash order by sent_at desc, message_key
        ) as recency,
        max(case when outcome = 'delivered' then sent_at end) over (
            partition by vendor, account, channel, address_hash
        ) as last_delivery_sent_at
    from {{ ref('messages') }} as messages
    where direction = 'outgoing' and address_hash is not null
), recipients as (
    select
        vendor,
        account,
        channel,
        address_hash,
        count(*) as messages,
        min(sent_at) as first_sent_at,
        max(sent_at) as last_sent_at,
        max(case when recency = 1 then status end) as last_status,
        max(case when recency = 1 then outcome end) as last_outcome,
        -- Messages without an outcome yet do not count.
        count(case
            when outcome = 'failed' and (last_delivery_sent_at is null or sent_at > last_delivery_sent_at) then 1
        end) as consecutive_failures
    from sent
    group by vendor, account, channel, address_hash
)

select recipients.*, consecutive_failures >= {{ var('msghistory_stop_after') }} as stop_sending
from recipients
