"""The Singer streams: the message histories, and what is told beside them."""

from tap_msghistory.streams.history import MessageHistoryStream
from tap_msghistory.streams.ledger import SyncWindowsStream
from tap_msghistory.streams.rejected import RejectedMessagesStream

__all__ = ["MessageHistoryStream", "RejectedMessagesStream", "SyncWindowsStream"]
