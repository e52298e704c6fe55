"""Airbyte's states, one per stream, and their conversion from and to a Singer state.

A stream's state is its Singer bookmark. A state that was emitted in the sync mode full_refresh also has the
member `full_refresh`: "incomplete" lets another attempt of the same sync resume, and "complete" lets it skip
the stream. Every other state is ignored in that mode.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tap_msghistory.cli.files import unwrapped_state
from tap_msghistory.errors import TapError

State = Mapping[str, Any]

FULL_REFRESH = "full_refresh"
INCOMPLETE, COMPLETE = "incomplete", "complete"

_FORM = (
    "The state must be a list of STATE messages, as the connector emits them, or of states per stream, or a "
    "Singer state. To resynchronize from start_date, use an empty list"
)


def to_airbyte(singer_state: State) -> list[dict[str, Any]]:
    """Return the states of a Singer state's streams, in the form that `read --state` accepts."""
    return [
        {"type": "STREAM", "stream": {"stream_descriptor": {"name": name}, "stream_state": dict(bookmark)}}
        for name, bookmark in singer_state.get("bookmarks", {}).items()
    ]


def to_singer(airbyte_state: Any) -> dict[str, Any]:
    """Return the Singer state of a list of states per stream. Raises `TapError`."""
    bookmarks = read(airbyte_state)
    return {"bookmarks": {name: bookmark_of(state) for name, state in bookmarks.items()}}


def bookmark_of(state: State) -> dict[str, Any]:
    """Return a stream's state without the member that only this connector adds."""
    return {name: value for name, value in state.items() if name != FULL_REFRESH}


def read(content: Any) -> dict[str, dict[str, Any]]:
    """Return the state of each stream. Raises `TapError` for anything else, such as a legacy state."""
    try:
        if isinstance(content, dict):
            content = unwrapped_state(content)
            if content and "bookmarks" not in content:
                raise TapError(_FORM)
            content = to_airbyte(content)
        streams: list[Any] = []
        for entry in content:
            state = entry["state"] if entry["type"] == "STATE" else entry
            is_global = state["type"] == "GLOBAL"
            streams += state["global"]["stream_states"] if is_global else [state["stream"]]
        return {stream["stream_descriptor"]["name"]: {**(stream["stream_state"] or {})} for stream in streams}
    except (AttributeError, KeyError, TypeError) as error:
        raise TapError(_FORM) from error
