"""Compares the number of messages in a warehouse with the vendor's, range by range, with few requests."""

#: The formats of a report. Here, because reading the command line must not import the rest.
FORMATS = ("table", "json", "csv")
