"""The Singer streams: one declared class each, and the sync that they share."""

from tap_msghistory.streams.base import MessageHistoryStream
from tap_msghistory.streams.context import SyncContext
from tap_msghistory.streams.edna import EdnaHistoryStream
from tap_msghistory.streams.partner_gateway import (
    PartnerGatewayExportStream,
    PartnerGatewayRcsHistoryStream,
    PartnerGatewaySmsHistoryStream,
    PartnerGatewayWhatsAppHistoryStream,
)
from tap_msghistory.streams.rejected_messages import RejectedMessagesStream
from tap_msghistory.streams.sync_windows import SyncWindowsStream

#: All message histories, in the order in which they are discovered.
HISTORY_STREAMS: tuple[type[MessageHistoryStream], ...] = (
    EdnaHistoryStream,
    PartnerGatewaySmsHistoryStream,
    PartnerGatewayRcsHistoryStream,
    PartnerGatewayWhatsAppHistoryStream,
    PartnerGatewayExportStream,
)

__all__ = [
    "HISTORY_STREAMS",
    "EdnaHistoryStream",
    "MessageHistoryStream",
    "PartnerGatewayExportStream",
    "PartnerGatewayRcsHistoryStream",
    "PartnerGatewaySmsHistoryStream",
    "PartnerGatewayWhatsAppHistoryStream",
    "RejectedMessagesStream",
    "SyncContext",
    "SyncWindowsStream",
]
