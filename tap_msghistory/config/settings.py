"""The settings: their JSON Schema, which the SDK publishes (`--about`, environment variables).

The schema cannot describe dates, durations, URLs and combinations of settings; `validation` checks them.
"""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

EDNA_BASE_URL = "https://app.edna.io"
PARTNER_GATEWAY_BASE_URL = "https://lora-api.agiletelecom.com/api"

#: Channels in edna's documentation. edna may add others, so an unknown channel is only a warning.
KNOWN_CHANNEL_TYPES = ("SMS", "WHATSAPP", "VIBER")
SUBSCRIBER_TYPES = (
    "PHONE", "EMAIL", "UTM", "COOKIE_ID", "INSTAGRAM_ID", "TELEGRAM_ID", "GOOGLE_ID", "APPLE_ID",
    "YANDEX_ID", "EXT_USER_ID", "FACEBOOK_ID", "EDNA_ID",
)  # fmt: skip

SETTINGS: dict[str, Any] = th.PropertiesList(
    th.Property(
        "start_date",
        th.StringType,
        required=True,
        title="Start date",
        examples=["2024-01-31", "2024-01-31T08:00:00Z"],
        description="Read messages sent after this time. ISO 8601; a date without a time is the start of "
        "that day, and a time without an offset is UTC.",
    ),
    th.Property(
        "end_date",
        th.StringType,
        title="End date",
        examples=["2024-01-31", "2024-01-31T08:00:00Z"],
        description="Read messages sent up to this time, but never later than now minus visibility_lag. Same "
        "formats as start_date. Default: now minus visibility_lag.",
    ),
    th.Property(
        "account",
        th.StringType(min_length=1),
        title="Account",
        description="Name of the account. If set, every record has it in the column account, which is part "
        "of every primary key, so that tables can contain several accounts. Set it before the first load. "
        "Default: no such column.",
    ),
    th.Property(
        "edna_api_key",
        th.StringType,
        secret=True,
        title="edna: API key",
        description="API key of edna Pulse. Enables the stream edna_history.",
    ),
    th.Property(
        "edna_base_url",
        th.StringType,
        default=EDNA_BASE_URL,
        title="edna: base URL",
        examples=["https://app.edna.ru", "https://app.edna.by"],
        description="Base URL of the edna Pulse API, for example https://app.edna.ru or "
        "https://app.edna.by. Must be https, except on loopback.",
    ),
    th.Property(
        "edna_channel_types",
        th.ArrayType(th.StringType(min_length=1)),
        title="edna: channels",
        examples=[["SMS", "WHATSAPP"]],
        description="Read only messages of these channels, for example SMS, WHATSAPP or VIBER. Default: all.",
    ),
    th.Property(
        "edna_traffic_types",
        th.ArrayType(th.StringType(allowed_values=["AD", "SERVICE", "HSM", "CHAT"])),
        title="edna: traffic types",
        description="Read only outgoing messages of these types: AD, SERVICE, HSM, CHAT. Cannot be combined "
        "with edna_direction IN. Default: all.",
    ),
    th.Property(
        "edna_direction",
        th.StringType(allowed_values=["IN", "OUT"]),
        title="edna: direction",
        description="Read only messages from subscribers (IN) or to subscribers (OUT). Default: both.",
    ),
    th.Property(
        "edna_subject_id",
        th.IntegerType,
        title="edna: signature",
        description="Read only messages of the signature with this identifier.",
    ),
    th.Property(
        "edna_message_id",
        th.IntegerType,
        title="edna: message",
        description="Read only the message with this identifier. Requires edna_direction.",
    ),
    th.Property(
        "edna_subscriber_address",
        th.StringType(min_length=1),
        title="edna: subscriber's address",
        description="Read only messages from or to this subscriber. Requires edna_subscriber_type.",
    ),
    th.Property(
        "edna_subscriber_type",
        th.StringType(allowed_values=[*SUBSCRIBER_TYPES]),
        title="edna: type of the subscriber's address",
        description=f"Type of edna_subscriber_address: {', '.join(SUBSCRIBER_TYPES)}.",
    ),
    th.Property(
        "edna_requests_per_second",
        th.NumberType(exclusive_minimum=0),
        title="edna: requests per second",
        description="Maximum requests per second. Default: unlimited (edna documents no limit).",
    ),
    th.Property(
        "partner_gateway_api_key",
        th.StringType,
        secret=True,
        title="Partner gateway: API key",
        description="API key of the partner gateway. Enables the streams partner_gateway_history_sms, "
        "_rcs and _whatsapp. Alternative: a username and a password.",
    ),
    th.Property(
        "partner_gateway_username",
        th.StringType,
        title="Partner gateway: username",
        description="Username for HTTP Basic authentication instead of an API key. Requires "
        "partner_gateway_password.",
    ),
    th.Property(
        "partner_gateway_password",
        th.StringType,
        secret=True,
        title="Partner gateway: password",
        description="Password for HTTP Basic authentication instead of an API key. Requires "
        "partner_gateway_username.",
    ),
    th.Property(
        "partner_gateway_base_url",
        th.StringType,
        default=PARTNER_GATEWAY_BASE_URL,
        title="Partner gateway: base URL",
        description="Base URL of the partner gateway. Must be https, except on loopback.",
    ),
    th.Property(
        "partner_gateway_status",
        th.StringType(allowed_values=["DELIVERED", "SENT", "ERROR", "EXPIRED", "UNKNOWN", "RECEIVED"]),
        title="Partner gateway: status",
        description="Read only messages with this status at the time of reading. A status that changes while "
        "pages are read moves messages between pages, and some may be missed; prefer filtering downstream.",
    ),
    th.Property(
        "partner_gateway_requests_per_second",
        th.NumberType(exclusive_minimum=0),
        default=50,
        title="Partner gateway: requests per second",
        description="Maximum requests per second. Production keys allow 50, trial keys 10.",
    ),
    th.Property(
        "partner_gateway_requests_per_minute",
        th.NumberType(exclusive_minimum=0),
        default=1000,
        title="Partner gateway: requests per minute",
        description="Maximum requests per minute. Production keys allow 1000, trial keys 100.",
    ),
    th.Property(
        "partner_gateway_export",
        th.BooleanType,
        default=False,
        title="Partner gateway: export",
        description="Enables the stream partner_gateway_history_export, which reads messages of all channels "
        "from CSV exports. They duplicate the messages of the gateway's other streams.",
    ),
    th.Property(
        "partner_gateway_export_sender",
        th.StringType(min_length=1),
        title="Partner gateway: sender of exported messages",
        description="Export only messages from this sender.",
    ),
    th.Property(
        "partner_gateway_export_recipient",
        th.StringType(min_length=1),
        title="Partner gateway: recipient of exported messages",
        description="Export only messages to this recipient.",
    ),
    th.Property(
        "page_size",
        th.IntegerType(minimum=1, maximum=1000),
        default=1000,
        title="Page size",
        description="Messages per request, 1 to 1000.",
    ),
    th.Property(
        "revisit_after",
        th.ArrayType(th.StringType),
        default=["PT1H", "P1D", "P3D", "P7D", "P30D"],
        title="Revisit after",
        description="Ages (ISO 8601 durations) at which each message is read again to update its status. A "
        "status may be out of date until the message reaches the next age. Empty: never.",
    ),
    th.Property(
        "lookback",
        th.StringType,
        title="Lookback",
        examples=["P7D", "PT1H"],
        description="ISO 8601 duration. Each run also rereads all messages sent within this duration before "
        "its bookmark. Expensive; prefer revisit_after. Default: none.",
    ),
    th.Property(
        "visibility_lag",
        th.StringType,
        default="PT1M",
        title="Visibility lag",
        examples=["PT1M", "PT10M"],
        description="ISO 8601 duration that a message may take to appear in the vendor's API. More recent "
        "messages are read by the next run.",
    ),
    th.Property(
        "concurrency",
        th.IntegerType(minimum=1, maximum=32),
        default=4,
        title="Concurrency",
        description="Number of windows (about 10,000 messages each) that are read or held in memory at once, "
        "1 to 32.",
    ),
    th.Property(
        "export_concurrency",
        th.IntegerType(minimum=1, maximum=8),
        default=2,
        title="Export concurrency",
        description="Number of concurrent export jobs, 1 to 8. Each covers at most 30 days.",
    ),
    th.Property(
        "export_timeout",
        th.NumberType(exclusive_minimum=0),
        default=1800,
        title="Export timeout",
        description="Maximum seconds to wait for the export of a window.",
    ),
    th.Property(
        "reread",
        th.CustomType({"type": ["array", "string", "null"]}),
        title="Reread",
        examples=["edna_history=2024-01-01/2024-02-01"],
        description="Read exactly these ranges of send time, and leave all bookmarks unchanged. A list of "
        "objects with stream, from (exclusive) and to (inclusive), or text, stream=from/to, with commas "
        "between ranges. Default: none; a run continues from its bookmarks.",
    ),
    th.Property(
        "assume_timezone",
        th.StringType,
        default="UTC",
        title="Assumed time zone",
        examples=["Europe/Rome"],
        description="Time zone (IANA name, for example Europe/Rome) of timestamps without an offset in "
        "responses.",
    ),
    th.Property(
        "request_timeout",
        th.NumberType(exclusive_minimum=0),
        default=60,
        title="Request timeout",
        description="Timeout in seconds for connecting, and for each wait for data.",
    ),
    th.Property(
        "max_retry_seconds",
        th.NumberType(minimum=0),
        default=900,
        title="Retry budget",
        description="Maximum seconds for retrying a request that fails temporarily. If the next wait would "
        "exceed it, the request fails immediately.",
    ),
    th.Property(
        "objects_as_json",
        th.BooleanType,
        default=False,
        title="Objects as JSON text",
        description="Emit object columns (extraFields, message) as JSON text, for targets without nested "
        "types.",
    ),
    th.Property(
        "max_rejected",
        th.IntegerType(minimum=0),
        title="Maximum rejected messages",
        description="A run fails if it rejects more messages than this. Invalid messages, for example "
        "without a readable send time or with an identifier that another message has, are emitted in the "
        "stream rejected_messages instead. Default: no limit.",
    ),
).to_dict()
