"""Bookmarks: how far a stream has been read, and their form in a Singer state."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tap_msghistory.timestamps import duration_to_text, from_text, parse_duration, to_text

_POSITIONS = ("replication_key_value", "revisited_to")


@dataclass(frozen=True, slots=True)
class Bookmark:
    """The progress of a stream: all messages sent up to `read_to` have been read, as of `as_of`.

    `revisited_to` is set only by a run that was stopped during its revisits. It maps each age to the send
    time up to which messages were read again, so that the next run does not repeat these windows.
    """

    read_to: datetime
    as_of: datetime
    revisited_to: Mapping[timedelta, datetime] = field(default_factory=dict)
    read_from: datetime | None = None  #: the start_date of the first run; None: unknown
    account: str | None = None  #: the account that was read, if it has a name

    def reached(self, age: timedelta) -> datetime:
        """Return the send time up to which messages have been read again at `age`."""
        return self.revisited_to.get(age, self.as_of - age)


def read(state: Mapping[str, Any], start_date: datetime, replication_key: str) -> Bookmark:
    """Return the bookmark stored in a stream's state, or one at `start_date` if the state is empty.

    Raises `ValueError` with an explanation.
    """
    if not state:
        return Bookmark(start_date, start_date, read_from=start_date)
    if not any(name in state for name in _POSITIONS):
        raise ValueError(
            f"it has neither {' nor '.join(_POSITIONS)}, so it may belong to another tap. To resynchronize "
            "from start_date, delete the state"
        )
    if state.get("replication_key", replication_key) != replication_key:
        raise ValueError(f"its replication_key is not {replication_key}, so it may belong to another tap")
    try:
        read_to = _moment(state.get("replication_key_value", to_text(start_date)))
        return Bookmark(
            read_to=read_to,
            as_of=_moment(state["as_of"]) if "as_of" in state else read_to,
            revisited_to={
                parse_duration(age): _moment(moment) for age, moment in state.get("revisited_to", {}).items()
            },
            read_from=_moment(state["read_from"]) if "read_from" in state else None,
            account=state.get("account"),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            "replication_key_value, as_of, read_from and the values of revisited_to must be ISO 8601 times "
            "from 1970 to 9998"
        ) from error


def _moment(text: str) -> datetime:
    moment = from_text(text)
    if not 1970 <= moment.year <= 9998:  # noqa: PLR2004 - ages and lookbacks are added and subtracted
        raise ValueError(text)
    return moment


def write(bookmark: Bookmark, replication_key: str, state: MutableMapping[str, Any]) -> None:
    """Store the bookmark in a stream's state."""
    state["replication_key"] = replication_key
    state["replication_key_value"] = to_text(bookmark.read_to)
    state["as_of"] = to_text(bookmark.as_of)
    if bookmark.read_from is not None:
        state["read_from"] = to_text(bookmark.read_from)
    if bookmark.account is not None:
        state["account"] = bookmark.account
    state.pop("revisited_to", None)
    if bookmark.revisited_to:
        state["revisited_to"] = {
            duration_to_text(age): to_text(moment) for age, moment in bookmark.revisited_to.items()
        }
