"""The settings: what there is, and how a config becomes values that the tap can rely on.

`SETTINGS` is the JSON Schema that the SDK publishes (`--about`, environment variables); `Settings` is the
same, checked and typed. What a schema cannot say (dates, durations, hosts, combinations) is checked in
`tap_msghistory.config.validation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from singer_sdk import typing as th

from tap_msghistory.planning.windows import Schedule
from tap_msghistory.timestamps import setting_to_duration, setting_to_moment

EDNA_BASE_URL = "https://app.edna.io"
PARTNER_GATEWAY_BASE_URL = "https://lora-api.agiletelecom.com/api"

#: Channels seen in edna's pages; edna adds others, so that the setting only warns.
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
        description="Read messages sent after this. ISO 8601; a date alone is that day's start, and "
        "without an offset it is UTC.",
    ),
    th.Property(
        "end_date",
        th.StringType,
        title="End date",
        description="Read messages sent up to this. ISO 8601, like start_date. Default: now, less "
        "visibility_lag.",
    ),
    th.Property(
        "edna_api_key",
        th.StringType,
        secret=True,
        title="edna: API key",
        description="API key of edna Pulse. The stream edna_history is there when it is set.",
    ),
    th.Property(
        "edna_base_url",
        th.StringType,
        default=EDNA_BASE_URL,
        title="edna: base URL",
        description="Base URL of the edna Pulse API, which is also served at https://app.edna.ru and "
        "https://app.edna.by. https, except on loopback.",
    ),
    th.Property(
        "edna_channel_types",
        th.ArrayType(th.StringType),
        title="edna: channels",
        description="Only messages of these channels, such as SMS, WHATSAPP, VIBER. Default: all.",
    ),
    th.Property(
        "edna_traffic_types",
        th.ArrayType(th.StringType(allowed_values=["AD", "SERVICE", "HSM", "CHAT"])),
        title="edna: traffic types",
        description="Only outgoing messages of these types: AD, SERVICE, HSM, CHAT. Not with "
        "edna_direction IN. Default: all.",
    ),
    th.Property(
        "edna_direction",
        th.StringType(allowed_values=["IN", "OUT"]),
        title="edna: direction",
        description="Only messages from subscribers (IN) or to them (OUT). Default: both.",
    ),
    th.Property(
        "edna_subject_id",
        th.IntegerType,
        title="edna: signature",
        description="Only messages of the signature with this identifier.",
    ),
    th.Property(
        "edna_message_id",
        th.IntegerType,
        title="edna: message",
        description="Only the message with this identifier. Needs edna_direction.",
    ),
    th.Property(
        "edna_subscriber_address",
        th.StringType(min_length=1),
        title="edna: subscriber's address",
        description="Only messages with this subscriber. Needs edna_subscriber_type.",
    ),
    th.Property(
        "edna_subscriber_type",
        th.StringType(allowed_values=[*SUBSCRIBER_TYPES]),
        title="edna: type of the subscriber's address",
        description=f"What edna_subscriber_address is: {', '.join(SUBSCRIBER_TYPES)}.",
    ),
    th.Property(
        "edna_requests_per_second",
        th.NumberType(exclusive_minimum=0),
        title="edna: requests a second",
        description="At most so many requests a second. Default: no limit, as edna documents none.",
    ),
    th.Property(
        "partner_gateway_api_key",
        th.StringType,
        secret=True,
        title="Partner gateway: API key",
        description="API key of the partner gateway. Enables the streams partner_gateway_history_sms, "
        "_rcs and _whatsapp, as do a username and a password.",
    ),
    th.Property(
        "partner_gateway_username",
        th.StringType,
        title="Partner gateway: username",
        description="For HTTP Basic instead of an API key. Needs partner_gateway_password.",
    ),
    th.Property(
        "partner_gateway_password",
        th.StringType,
        secret=True,
        title="Partner gateway: password",
        description="For HTTP Basic instead of an API key. Needs partner_gateway_username.",
    ),
    th.Property(
        "partner_gateway_base_url",
        th.StringType,
        default=PARTNER_GATEWAY_BASE_URL,
        title="Partner gateway: base URL",
        description="Where the partner gateway is. https, except on loopback.",
    ),
    th.Property(
        "partner_gateway_status",
        th.StringType(allowed_values=["DELIVERED", "SENT", "ERROR", "EXPIRED", "UNKNOWN", "RECEIVED"]),
        title="Partner gateway: status",
        description="Only messages that have this status when they are read. A status that changes while "
        "pages are read moves messages between pages, so that some may be missed: better filter later.",
    ),
    th.Property(
        "partner_gateway_requests_per_second",
        th.NumberType(exclusive_minimum=0),
        default=50,
        title="Partner gateway: requests a second",
        description="At most so many requests a second. Production keys: 50, trial keys: 10.",
    ),
    th.Property(
        "partner_gateway_requests_per_minute",
        th.NumberType(exclusive_minimum=0),
        default=1000,
        title="Partner gateway: requests a minute",
        description="At most so many requests a minute. Production keys: 1000, trial keys: 100.",
    ),
    th.Property(
        "partner_gateway_export",
        th.BooleanType,
        default=False,
        title="Partner gateway: export",
        description="Enables the stream partner_gateway_history_export, which has the messages of the "
        "gateway's other streams once more, as CSV exports.",
    ),
    th.Property(
        "partner_gateway_export_sender",
        th.StringType(min_length=1),
        title="Partner gateway: export of a sender",
        description="Only for the stream partner_gateway_history_export: only messages from this sender.",
    ),
    th.Property(
        "partner_gateway_export_recipient",
        th.StringType(min_length=1),
        title="Partner gateway: export of a recipient",
        description="Only for the stream partner_gateway_history_export: only messages to this recipient.",
    ),
    th.Property(
        "page_size",
        th.IntegerType(minimum=1, maximum=1000),
        default=1000,
        title="Page size",
        description="Messages to ask for in one request, 1 to 1000.",
    ),
    th.Property(
        "revisit_after",
        th.ArrayType(th.StringType),
        default=["PT1H", "P1D", "P3D", "P7D", "P30D"],
        title="Revisit after",
        description="The ages (ISO 8601 durations) at which each message is read again for its latest "
        "status. A status is stale for no longer than until the next age. Empty: never.",
    ),
    th.Property(
        "lookback",
        th.StringType,
        title="Lookback",
        description="An ISO 8601 duration: each run also reads again all that was sent so long before "
        "its bookmark. The dear way to fresh statuses; revisit_after is the cheap one. Default: none.",
    ),
    th.Property(
        "visibility_lag",
        th.StringType,
        default="PT1M",
        title="Visibility lag",
        description="An ISO 8601 duration: how long a message may take to show up in the vendor's API. "
        "Nothing younger is read yet.",
    ),
    th.Property(
        "concurrency",
        th.IntegerType(minimum=1, maximum=32),
        default=4,
        title="Concurrency",
        description="Windows (of about 10,000 messages) that are read, or wait in memory, at once, 1 to 32.",
    ),
    th.Property(
        "export_concurrency",
        th.IntegerType(minimum=1, maximum=8),
        default=2,
        title="Export concurrency",
        description="Export jobs (each of a month at most) at once, 1 to 8.",
    ),
    th.Property(
        "export_timeout",
        th.NumberType(exclusive_minimum=0),
        default=1800,
        title="Export timeout",
        description="Seconds to wait for the gateway to finish an export job.",
    ),
    th.Property(
        "assume_timezone",
        th.StringType,
        default="UTC",
        title="Assumed time zone",
        description="The time zone (IANA, such as Europe/Rome) of times in answers that have no offset.",
    ),
    th.Property(
        "request_timeout",
        th.NumberType(exclusive_minimum=0),
        default=60,
        title="Request timeout",
        description="Seconds to wait for a server to connect, and for it to send on.",
    ),
    th.Property(
        "max_retry_seconds",
        th.NumberType(minimum=0),
        default=900,
        title="Retry budget",
        description="Seconds for which a request that fails for a passing reason is tried again. A wait "
        "that would take longer fails at once.",
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
        title="Rejected messages at most",
        description="A run fails when more messages than this have no identifier or no readable send time. "
        "They go whole to the stream rejected_messages. Default: no limit.",
    ),
).to_dict()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A checked config. Durations are `timedelta`, moments aware UTC, the rest as in `SETTINGS`."""

    end_date: datetime | None
    visibility_lag: timedelta
    schedule: Schedule
    concurrency: int
    export_concurrency: int
    export_timeout: float
    assume_timezone: ZoneInfo
    request_timeout: float
    max_retry_seconds: float

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Take a config that has passed `tap_msghistory.config.validation.problems`."""
        end_date = config.get("end_date")
        return cls(
            end_date=setting_to_moment(end_date) if end_date else None,
            visibility_lag=setting_to_duration(config["visibility_lag"]),
            schedule=Schedule(
                start_date=setting_to_moment(config["start_date"]),
                revisit_after=tuple(sorted(set(map(setting_to_duration, config["revisit_after"])))),
                lookback=setting_to_duration(config.get("lookback") or "PT0S"),
            ),
            concurrency=config["concurrency"],
            export_concurrency=config["export_concurrency"],
            export_timeout=float(config["export_timeout"]),
            assume_timezone=ZoneInfo(config["assume_timezone"]),
            request_timeout=float(config["request_timeout"]),
            max_retry_seconds=float(config["max_retry_seconds"]),
        )

    def read_until(self, now: datetime) -> datetime:
        """Return the moment as of which a run that begins `now` reads."""
        visible = now - self.visibility_lag
        return min(self.end_date, visible) if self.end_date else visible
