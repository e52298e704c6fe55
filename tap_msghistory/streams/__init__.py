"""The Singer streams: the message histories, and what is told beside them."""

from tap_msghistory.streams.base import MessageHistoryStream
from tap_msghistory.streams.rejected_messages import RejectedMessagesStream
from tap_msghistory.streams.sync_windows import SyncWindowsStream

__all__ = ["MessageHistoryStream", "RejectedMessagesStream", "SyncWindowsStream"]
