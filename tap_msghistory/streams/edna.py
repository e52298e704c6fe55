"""The stream of edna Pulse."""

from __future__ import annotations

from tap_msghistory.streams.base import MessageHistoryStream
from tap_msghistory.vendors.edna import EdnaHistorySource


class EdnaHistoryStream(MessageHistoryStream):
    """Incoming and outgoing messages of all channels of one edna account."""

    name = "edna_history"
    source_type = EdnaHistorySource
    schema = source_type.schema
    primary_keys = source_type.primary_keys
    replication_key = source_type.replication_key
    paginator = source_type.paginator
    selected_by_default = source_type.selected_by_default
