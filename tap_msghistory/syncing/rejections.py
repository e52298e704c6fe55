"""Rejected messages: their rows, and their number in one run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tap_msghistory.errors import FatalError
from tap_msghistory.reading.records import Rejected
from tap_msghistory.schemas import load_schema
from tap_msghistory.syncing.declarations import AuxiliaryDeclaration
from tap_msghistory.timestamps import now, to_text

REJECTED_MESSAGES = AuxiliaryDeclaration(
    name="rejected_messages",
    schema=load_schema("rejected_message"),
    primary_keys=("rejectionId",),
    replication_key="rejectedAt",
)


class Rejections:
    """Counts the rejected messages of all streams of one run."""

    def __init__(self, max_rejected: int | None) -> None:
        """Set the maximum number of rejected messages; None: unlimited."""
        self._max_rejected = max_rejected
        self._rejected = 0
        self.discarded = 0  #: those that the interface discarded although their stream is selected
        self.is_selected = True  #: whether the stream of rejected messages is emitted
        self.are_kept = True  #: whether those that were emitted survive a failed run

    @property
    def location(self) -> str:
        """A clause for log lines: the stream with the rejected messages, or that they were discarded."""
        name = REJECTED_MESSAGES.name
        if not self.is_selected:
            return f"they were DISCARDED because the stream {name} is not selected"
        if self.discarded:
            return (
                f"{self.discarded} of the {self._rejected} rejected messages of this run were DISCARDED by "
                f"a stream map, a filter or the catalog's selection for the stream {name}"
            )
        return f"they are in the stream {name}"

    def count(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Count rows that have been emitted.

        Raises `FatalError` if all streams together have more than `max_rejected`.
        """
        self._rejected += len(rows)
        if self._max_rejected is not None and self._rejected > self._max_rejected:
            raise FatalError(
                f"{self._rejected} messages are invalid, which exceeds max_rejected ({self._max_rejected}); "
                f"{self.location if self.are_kept else 'nothing was loaded'}; "
                f"the last reason: {rows[-1]['reason']}. To accept them, increase max_rejected"
            )


def rejection_row(stream: str, rejected: Rejected) -> dict[str, Any]:
    """Return the row of a rejected message of `stream`. Its identifier is the same in every run."""
    identity = rejected.row if rejected.identity is None else rejected.identity
    content = msgspec.json.encode([stream, identity], order="sorted")
    return {
        "rejectionId": hashlib.sha256(content).hexdigest(),
        "stream": stream,
        "reason": rejected.reason,
        "rejectedAt": to_text(now()),
        "message": rejected.row,
    }
