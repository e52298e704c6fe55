"""The message histories that can be read, each in its own way; who does what with them is not known here."""

from collections.abc import Mapping
from typing import Any

from tap_msghistory.config.account import Account
from tap_msghistory.reading.source import MessageHistory
from tap_msghistory.vendors.edna_source import EdnaMessages
from tap_msghistory.vendors.partner_gateway_export.source import ExportedMessages
from tap_msghistory.vendors.partner_gateway_source import PartnerGatewayMessages

__all__ = [
    "EdnaMessages",
    "ExportedMessages",
    "MessageHistory",
    "PartnerGatewayMessages",
    "of_account",
    "schemas",
]


def of_account(account: Account) -> list[MessageHistory]:
    """Return the histories of each vendor that the account has a credential for; without any, all of them."""
    neither = not (account.has_edna or account.has_partner_gateway)
    histories: list[MessageHistory] = []
    if account.has_edna or neither:
        histories.append(EdnaMessages(account))
    if account.has_partner_gateway or neither:
        histories += [PartnerGatewayMessages(account, it) for it in PartnerGatewayMessages.CHANNELS]
        if account.config.get("partner_gateway_export"):
            histories.append(ExportedMessages(account))
    return histories


def schemas() -> dict[str, Mapping[str, Any]]:
    """Return the names of all histories that there are, each with the JSON schema of its records."""
    return {history.name: history.schema for history in of_account(Account({"partner_gateway_export": True}))}
