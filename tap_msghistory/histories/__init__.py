"""The message histories that can be read, each in its own way; who does what with them is not known here."""

from tap_msghistory.account import Account
from tap_msghistory.histories.base import MessageHistory
from tap_msghistory.histories.edna import EdnaMessages
from tap_msghistory.histories.export import ExportedMessages
from tap_msghistory.histories.partner_gateway import PartnerGatewayMessages

__all__ = ["EdnaMessages", "ExportedMessages", "MessageHistory", "PartnerGatewayMessages", "of_account"]


def of_account(account: Account) -> list[MessageHistory]:
    """Return the histories of each vendor that the account has a credential for; without any, all of them."""
    neither = not (account.has_edna or account.has_partner_gateway)
    histories: list[MessageHistory] = []
    if account.has_edna or neither:
        histories.append(EdnaMessages(account))
    if account.has_partner_gateway or neither:
        histories += [PartnerGatewayMessages(account, it) for it in PartnerGatewayMessages.CHANNELS]
        histories.append(ExportedMessages(account))
    return histories
