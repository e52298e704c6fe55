{#- The staging model of one stream of the partner gateway. -#}
{%- macro staged_partner_gateway(stream) -%}
with loaded as (
    {{ msghistory.loaded_stream(stream, [
        ['account', 'text', 'account'],
        ['messageId', 'text', 'message_id'],
        ['customerMessageId', 'text', 'customer_message_id'],
        ['channel', 'text', 'channel'],
        ['direction', 'text', 'vendor_direction'],
        ['sender', 'text', 'sender'],
        ['destination', 'text', 'address'],
        ['body', 'text', 'body'],
        ['deliveryStatus', 'text', 'vendor_status'],
        ['deliveryStatusDescription', 'text', 'status_description'],
        ['sendDate', 'time', 'sent_at'],
        ['deliveryDate', 'time', 'delivered_at'],
        ['cost', 'decimal', 'cost'],
        ['parts', 'integer', 'parts'],
        ['extraFields', 'text', 'extra_fields'],
    ]) }}
)

{{ msghistory.with_status('loaded', 'partner_gateway') }}
{%- endmacro -%}
