{{ msghistory.loaded_stream('rejected_messages', [
    ['account', 'text', 'account'],
    ['rejectionId', 'text', 'rejection_id'],
    ['stream', 'text', 'stream'],
    ['reason', 'text', 'reason'],
    ['rejectedAt', 'time', 'rejected_at'],
    ['message', 'text', 'message'],
]) }}
