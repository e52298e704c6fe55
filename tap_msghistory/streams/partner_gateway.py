"""The streams of the partner gateway: one per channel, and the export."""

from __future__ import annotations

from tap_msghistory.streams.base import MessageHistoryStream
from tap_msghistory.vendors.partner_gateway import (
    PartnerGatewayRcsHistorySource,
    PartnerGatewaySmsHistorySource,
    PartnerGatewayWhatsAppHistorySource,
)
from tap_msghistory.vendors.partner_gateway_export import PartnerGatewayExportSource


class PartnerGatewaySmsHistoryStream(MessageHistoryStream):
    """Sent SMS."""

    name = "partner_gateway_history_sms"
    source_type = PartnerGatewaySmsHistorySource
    schema = source_type.schema
    primary_keys = source_type.primary_keys
    replication_key = source_type.replication_key
    paginator = source_type.paginator
    selected_by_default = source_type.selected_by_default


class PartnerGatewayRcsHistoryStream(MessageHistoryStream):
    """Sent RCS messages."""

    name = "partner_gateway_history_rcs"
    source_type = PartnerGatewayRcsHistorySource
    schema = source_type.schema
    primary_keys = source_type.primary_keys
    replication_key = source_type.replication_key
    paginator = source_type.paginator
    selected_by_default = source_type.selected_by_default


class PartnerGatewayWhatsAppHistoryStream(MessageHistoryStream):
    """Sent WhatsApp messages."""

    name = "partner_gateway_history_whatsapp"
    source_type = PartnerGatewayWhatsAppHistorySource
    schema = source_type.schema
    primary_keys = source_type.primary_keys
    replication_key = source_type.replication_key
    paginator = source_type.paginator
    selected_by_default = source_type.selected_by_default


class PartnerGatewayExportStream(MessageHistoryStream):
    """Messages of all channels that were sent through the API, read from CSV exports."""

    name = "partner_gateway_history_export"
    source_type = PartnerGatewayExportSource
    schema = source_type.schema
    primary_keys = source_type.primary_keys
    replication_key = source_type.replication_key
    selected_by_default = source_type.selected_by_default
