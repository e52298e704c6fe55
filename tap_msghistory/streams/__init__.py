"""The streams: declarations, and the one way in which all of them sync."""

from tap_msghistory.streams.base import MessageHistoryStream
from tap_msghistory.streams.edna import EdnaHistoryStream
from tap_msghistory.streams.export import PartnerGatewayExportStream
from tap_msghistory.streams.ledger import SyncWindowsStream
from tap_msghistory.streams.partner_gateway import PartnerGatewayHistoryStream
from tap_msghistory.streams.rejected import RejectedMessagesStream

__all__ = [
    "EdnaHistoryStream",
    "MessageHistoryStream",
    "PartnerGatewayExportStream",
    "PartnerGatewayHistoryStream",
    "RejectedMessagesStream",
    "SyncWindowsStream",
]
