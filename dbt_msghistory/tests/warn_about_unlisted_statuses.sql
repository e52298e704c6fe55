{{ config(severity='warn') }}

-- Statuses that the seed message_statuses does not list. They count as unknown, and as open.
select messages.vendor, messages.vendor_status, count(*) as messages
from {{ ref('messages') }} as messages
left join {{ ref('message_statuses') }} as statuses
    on statuses.vendor = messages.vendor and statuses.vendor_status = upper(messages.vendor_status)
where messages.vendor_status is not null and statuses.status is null
group by messages.vendor, messages.vendor_status
