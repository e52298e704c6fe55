"""The message histories as a dlt source. See docs/dlt.md."""

from tap_msghistory.dlt.source import MessageHistory, message_history

__all__ = ["MessageHistory", "message_history"]
