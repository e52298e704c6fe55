"""The streams: declarations, and the one way in which all of them sync."""

from tap_msghistory.streams.edna import EdnaHistoryStream
from tap_msghistory.streams.partner_gateway import PartnerGatewayHistoryStream

__all__ = ["EdnaHistoryStream", "PartnerGatewayHistoryStream"]
