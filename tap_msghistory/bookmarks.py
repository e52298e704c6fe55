"""How a bookmark stands in a stream's state, from one run to the next."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from datetime import datetime
from typing import Any

from tap_msghistory.timestamps import duration_to_text, from_text, setting_to_duration, to_text
from tap_msghistory.windows import Bookmark


def read(state: Mapping[str, Any], start_date: datetime) -> Bookmark:
    """Return the bookmark of a state, which is empty at first. Raises `ValueError` that says what must be."""
    if "replication_key_value" not in state and "revisited_to" not in state:
        return Bookmark(start_date, start_date)
    try:
        read_to = from_text(state.get("replication_key_value") or to_text(start_date))
        return Bookmark(
            read_to=read_to,
            as_of=from_text(state["as_of"]) if "as_of" in state else read_to,
            revisited_to={
                setting_to_duration(age): from_text(moment)
                for age, moment in state.get("revisited_to", {}).items()
            },
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            "replication_key_value, as_of and the values of revisited_to must be ISO 8601 times"
        ) from error


def write(bookmark: Bookmark, replication_key: str, state: MutableMapping[str, Any]) -> None:
    """Let a state have the bookmark."""
    state["replication_key"] = replication_key
    state["replication_key_value"] = to_text(bookmark.read_to)
    state["as_of"] = to_text(bookmark.as_of)
    state.pop("revisited_to", None)
    if bookmark.revisited_to:
        state["revisited_to"] = {
            duration_to_text(age): to_text(moment) for age, moment in bookmark.revisited_to.items()
        }
