{#- The messages of all streams with the same columns. -#}
{%- set gateway_channels = {
    'partner_gateway_history_sms': "'SMS'",
    'partner_gateway_history_rcs': "'RCS'",
    'partner_gateway_history_whatsapp': "'WHATSAPP'",
    'partner_gateway_history_export': "upper(channel)",
} -%}

with all_messages as (
    select
        'edna' as vendor,
        coalesce(account, '') as account,
        'edna_history' as stream,
        cast(message_id as {{ dbt.type_string() }}) as message_id,
        case upper(vendor_direction) when 'IN' then 'incoming' else 'outgoing' end as direction,
        upper(channel) as channel,
        coalesce(subject_name, cast(subject_id as {{ dbt.type_string() }})) as sender,
        address,
        status,
        vendor_status,
        status_description,
        is_final,
        sent_at,
        status_at,
        -- The time of delivery is not known after the message was read.
        case when status = 'delivered' then status_at end as delivered_at,
        segments as parts,
        cast(null as {{ dbt.type_numeric() }}) as cost,
        cast(broadcast_id as {{ dbt.type_string() }}) as broadcast_id,
        broadcast_name,
        cast(matcher_id as {{ dbt.type_string() }}) as template_id,
        matcher_name as template_name
    from {{ ref('stg_msghistory__edna_history') }}
    {% for stream, channel in gateway_channels.items() %}
    union all

    select
        'partner_gateway' as vendor,
        coalesce(account, '') as account,
        '{{ stream }}' as stream,
        message_id,
        case upper(vendor_direction) when 'INBOUND' then 'incoming' else 'outgoing' end as direction,
        {{ channel }} as channel,
        sender,
        address,
        status,
        vendor_status,
        status_description,
        is_final,
        sent_at,
        delivered_at as status_at,
        case when status in ('delivered', 'read') then delivered_at end as delivered_at,
        parts,
        cost,
        {{ msghistory.json_member('extra_fields', 'campaignId') }} as broadcast_id,
        cast(null as {{ dbt.type_string() }}) as broadcast_name,
        cast(null as {{ dbt.type_string() }}) as template_id,
        cast(null as {{ dbt.type_string() }}) as template_name
    from {{ ref('stg_msghistory__' ~ stream) }}
    {% endfor %}
)

select
    -- edna numbers incoming and outgoing messages of all channels, the gateway the messages of each channel. The
    -- export has the messages of the channels, so the stream is not part of the key.
    {{ dbt.hash(
        "vendor || '|' || account || '|' || message_id || '|' || "
        ~ "case when vendor = 'edna' then direction else coalesce(channel, '') end"
    ) }} as message_key,
    vendor,
    account,
    stream,
    message_id,
    direction,
    coalesce(channel, 'UNKNOWN') as channel,
    coalesce(sender, '') as sender,
    case
        when address <> ''
        then {{ msghistory.sha256(msghistory.text_literal(var('msghistory_hash_salt')) ~ " || address") }}
    end as address_hash,
    status,
    vendor_status,
    status_description,
    is_final,
    case
        when direction = 'incoming' then null
        when status in ('delivered', 'read') then 'delivered'
        when status in ('undelivered', 'expired', 'invalid') then 'failed'
        else 'open'
    end as outcome,
    sent_at,
    status_at,
    {{ msghistory.seconds_between('sent_at', 'delivered_at') }} as seconds_to_delivery,
    parts,
    cost,
    broadcast_id,
    broadcast_name,
    template_id,
    template_name
from all_messages
