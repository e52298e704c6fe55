"""Decides which ranges of send time a run reads. Pure: no clock and no network."""
