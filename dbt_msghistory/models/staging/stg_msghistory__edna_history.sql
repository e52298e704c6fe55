with loaded as (
    {{ msghistory.loaded_stream('edna_history', [
        ['account', 'text', 'account'],
        ['messageId', 'integer', 'message_id'],
        ['tenantId', 'integer', 'tenant_id'],
        ['channelType', 'text', 'channel'],
        ['direction', 'text', 'vendor_direction'],
        ['address', 'text', 'address'],
        ['content', 'text', 'content'],
        ['deliveryStatus', 'text', 'vendor_status'],
        ['deliveryStatusAt', 'time', 'status_at'],
        ['deliveryStatusMessage', 'text', 'status_description'],
        ['sentOrReceivedAt', 'time', 'sent_at'],
        ['subjectId', 'integer', 'subject_id'],
        ['subjectName', 'text', 'subject_name'],
        ['cascadeId', 'integer', 'cascade_id'],
        ['cascadeName', 'text', 'cascade_name'],
        ['cascadeStageUuid', 'text', 'cascade_stage_uuid'],
        ['broadcastId', 'integer', 'broadcast_id'],
        ['broadcastName', 'text', 'broadcast_name'],
        ['trafficType', 'text', 'traffic_type'],
        ['segments', 'integer', 'segments'],
        ['subscriberId', 'integer', 'subscriber_id'],
        ['matcherId', 'integer', 'matcher_id'],
        ['matcherName', 'text', 'matcher_name'],
        ['comment', 'text', 'comment'],
        ['replyInMessageId', 'integer', 'reply_in_message_id'],
        ['replyOutMessageId', 'integer', 'reply_out_message_id'],
        ['externalRequestId', 'text', 'external_request_id'],
        ['extraFields', 'text', 'extra_fields'],
    ]) }}
)

{{ msghistory.with_status('loaded', 'edna') }}
