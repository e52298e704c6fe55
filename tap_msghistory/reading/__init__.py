"""Reads windows of send time into records. Independent of any vendor and of any interface."""
