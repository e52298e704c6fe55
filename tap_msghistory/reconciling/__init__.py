"""Compares the number of messages in a warehouse with the vendor's, range by range, with few requests."""
