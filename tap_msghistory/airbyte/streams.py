"""The output of one selected stream: its records, states and statuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, itemgetter
from typing import Any

import msgspec
from airbyte_protocol_dataclasses import models as protocol

from tap_msghistory.airbyte import states
from tap_msghistory.airbyte.catalogs import ConfiguredStream, Declaration
from tap_msghistory.airbyte.messages import MessageWriter, now_ms, state_message, status_message
from tap_msghistory.output import record_lines

_UNFINISHED = {protocol.AirbyteStreamStatus.STARTED, protocol.AirbyteStreamStatus.RUNNING}


class StreamOutput:
    """Writes one stream, and counts the records since its last state."""

    def __init__(
        self,
        declaration: Declaration,
        configured: ConfiguredStream,
        state: Mapping[str, Any],
        writer: MessageWriter,
    ) -> None:
        """Store the state of an earlier run or attempt; nothing is written yet."""
        self.declaration = declaration
        self.name = declaration.name
        self._writer = writer
        self.is_full_refresh = configured.is_full_refresh
        progress = state.get(states.FULL_REFRESH)
        #: Whether an earlier attempt of a full refresh has read the stream.
        self.is_complete = self.is_full_refresh and progress == states.COMPLETE
        is_ignored = self.is_full_refresh and progress is None
        #: The bookmark to start from; empty: from the start.
        self.bookmark = {} if is_ignored else states.bookmark_of(state)
        self._project = _projection(declaration, configured.columns)
        name = msgspec.json.encode(self.name)
        self._head = b'{"type":"RECORD","record":{"stream":' + name + b',"data":'
        self._count = 0
        self._has_state = False
        self._status: protocol.AirbyteStreamStatus | None = None

    def start(self) -> None:
        """Report that the stream is being read."""
        self._set_status(protocol.AirbyteStreamStatus.STARTED)

    def write(self, records: Sequence[Any]) -> None:
        """Write records: Structs of a history, or rows of an auxiliary stream."""
        if not records:
            return
        if self._status is not protocol.AirbyteStreamStatus.RUNNING:
            self._set_status(protocol.AirbyteStreamStatus.RUNNING)
        tail = b',"emitted_at":%d}}' % now_ms()
        for lines in record_lines(self._head, self._project(records), tail):
            self._writer.write_lines(lines)
        self._count += len(records)

    def write_state(self, bookmark: dict[str, Any], *, is_complete: bool = False) -> None:
        """Write a state that covers all records that have been written."""
        self.bookmark, self._has_state = bookmark, True
        state = dict(bookmark)
        if self.is_full_refresh:
            state[states.FULL_REFRESH] = states.COMPLETE if is_complete else states.INCOMPLETE
        count, self._count = self._count, 0
        self._writer.write(state_message(self.name, state, count))

    def complete(self) -> None:
        """Write the last state, which ends a full refresh, and report that the stream has been read."""
        if self.is_full_refresh or self._count or not self._has_state:
            self.write_state(self.bookmark, is_complete=True)
        self._set_status(protocol.AirbyteStreamStatus.COMPLETE)

    def abort(self) -> bool:
        """Report that the stream was not read to its end. Return False if it had not started or has ended."""
        is_running = self._status in _UNFINISHED
        if is_running:
            self._set_status(protocol.AirbyteStreamStatus.INCOMPLETE)
        return is_running

    def _set_status(self, status: protocol.AirbyteStreamStatus) -> None:
        self._status = status
        self._writer.write(status_message(self.name, status))


def _projection(
    declaration: Declaration, columns: frozenset[str]
) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return a function that limits records to the selected columns, the key and the cursor."""
    required = {*declaration.primary_keys, declaration.cursor}
    names = [name for name in declaration.schema["properties"] if name in columns | required]
    if not columns or len(names) == len(declaration.schema["properties"]):
        return lambda records: records
    projected = msgspec.defstruct("Record", [(name, Any) for name in names], gc=False)
    values: Callable[[Any], tuple[Any, ...]] = (attrgetter if declaration.source else itemgetter)(*names)
    return lambda records: [projected(*values(record)) for record in records]
