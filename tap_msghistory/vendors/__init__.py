"""The vendors' endpoints, one module each, and the list of all message histories."""

from collections.abc import Mapping
from typing import Any

from tap_msghistory.reading.source import HistorySource
from tap_msghistory.vendors.edna import EdnaHistorySource
from tap_msghistory.vendors.partner_gateway import (
    PartnerGatewayRcsHistorySource,
    PartnerGatewaySmsHistorySource,
    PartnerGatewayWhatsAppHistorySource,
)
from tap_msghistory.vendors.partner_gateway_export import PartnerGatewayExportSource

#: All message histories, in the order in which streams are listed.
SOURCES: tuple[type[HistorySource], ...] = (
    EdnaHistorySource,
    PartnerGatewaySmsHistorySource,
    PartnerGatewayRcsHistorySource,
    PartnerGatewayWhatsAppHistorySource,
    PartnerGatewayExportSource,
)


def enabled_sources(config: Mapping[str, Any]) -> list[type[HistorySource]]:
    """Return the enabled histories of each configured vendor, or of all vendors if none is configured."""
    configured = {source.vendor for source in SOURCES if source.vendor.is_configured(config)}
    return [
        source
        for source in SOURCES
        if (not configured or source.vendor in configured)
        and (source.enabled_by is None or config.get(source.enabled_by))
    ]
