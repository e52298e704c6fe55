"""Syncs of message histories, independent of the protocol in which their results are emitted."""
