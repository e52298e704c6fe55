"""The output of one selected stream: its records, states and statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from airbyte_protocol_dataclasses.models import AirbyteStreamStatus

from tap_msghistory.airbyte import states
from tap_msghistory.airbyte.catalogs import ConfiguredStream
from tap_msghistory.airbyte.messages import MessageWriter, now_ms, state_message, status_message
from tap_msghistory.output import record_lines
from tap_msghistory.syncing.declarations import projection
from tap_msghistory.syncing.run import SyncRun


class StreamOutput:
    """Writes one stream, and counts the records since its last state."""

    def __init__(
        self,
        run: SyncRun,
        configured: ConfiguredStream,
        state: Mapping[str, Any],
        writer: MessageWriter,
    ) -> None:
        """Store the state of an earlier run or attempt; nothing is written yet. Raises `TapError`."""
        self._name = configured.name
        self._writer = writer
        self._is_full_refresh = configured.is_full_refresh
        progress = state.get(states.FULL_REFRESH)
        self.is_complete = self._is_full_refresh and progress == states.COMPLETE
        is_ignored = self._is_full_refresh and progress is None
        self.bookmark = {} if is_ignored else states.bookmark_of(state)
        self._projection = projection(run.stream(configured.name), configured.columns)
        name = msgspec.json.encode(self._name)
        self._head = b'{"type":"RECORD","record":{"stream":' + name + b',"data":'
        self._count = 0
        self._has_state = False
        self._status: AirbyteStreamStatus | None = None

    def start(self) -> None:
        """Report that the stream is being read."""
        self._set_status(AirbyteStreamStatus.STARTED)

    def write(self, records: Sequence[Any]) -> None:
        """Write records: Structs of a history, or rows of an auxiliary stream."""
        if not records:
            return
        if self._status is not AirbyteStreamStatus.RUNNING:
            self._set_status(AirbyteStreamStatus.RUNNING)
        if self._projection:
            records = msgspec.convert(records, self._projection, from_attributes=True)
        for lines in record_lines(self._head, records, b',"emitted_at":%d}}' % now_ms()):
            self._writer.write_lines(lines)
        self._count += len(records)

    def write_state(self, *, is_complete: bool = False) -> None:
        """Write the state that covers all records that have been written."""
        state = {**self.bookmark}
        if self._is_full_refresh:
            state[states.FULL_REFRESH] = states.COMPLETE if is_complete else states.INCOMPLETE
        self._writer.write(state_message(self._name, state, self._count))
        self._count, self._has_state = 0, True

    def complete(self) -> None:
        """Write the last state, which ends a full refresh, and report that the stream has been read."""
        if self._is_full_refresh or self._count or not self._has_state:
            self.write_state(is_complete=True)
        self._set_status(AirbyteStreamStatus.COMPLETE)

    def abort(self) -> None:
        """Report that the stream was not read to its end, if it has started and not ended."""
        if self._status in {AirbyteStreamStatus.STARTED, AirbyteStreamStatus.RUNNING}:
            self._set_status(AirbyteStreamStatus.INCOMPLETE)

    def _set_status(self, status: AirbyteStreamStatus) -> None:
        self._status = status
        self._writer.write(status_message(self._name, status))
