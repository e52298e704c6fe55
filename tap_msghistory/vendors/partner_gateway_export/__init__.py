"""The partner gateway's asynchronous export: jobs, CSV files, and messages sorted on disk."""

from tap_msghistory.vendors.partner_gateway_export.source import PartnerGatewayExportSource

__all__ = ["PartnerGatewayExportSource"]
