"""Decides which ranges can be checked, before anything is requested."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from tap_msghistory.reconciling.ranges import CountedRange
from tap_msghistory.timestamps import to_text


def obstacle(
    range_: CountedRange, *, account: str | None, enabled: Collection[str], countable: Collection[str]
) -> str | None:
    """Return why a range cannot be checked; None if it can.

    `account` is the configured one, `enabled` are the names of the streams that the settings enable, and
    `countable` those whose vendor counts messages.
    """
    if range_.account != account and range_.account is not None:
        return "it belongs to another account than the setting account"
    if range_.stream not in enabled:
        return "the stream is unknown, or the settings do not enable it"
    if range_.stream not in countable:
        return "the messages of an export cannot be counted"
    return None


def future_obstacle(range_: CountedRange, until: datetime) -> str | None:
    """Return why a range that ends after `until`, now minus `visibility_lag`, cannot be checked."""
    if range_.end <= until:
        return None
    return f"it ends after {to_text(until)}, so messages may still appear (visibility_lag)"
