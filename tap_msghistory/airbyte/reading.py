"""Reads the selected streams, one after the other, and writes them as Airbyte messages."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from airbyte_protocol_dataclasses import models as protocol

from tap_msghistory.airbyte.catalogs import ConfiguredStream, Declaration
from tap_msghistory.airbyte.messages import MessageWriter, status_message
from tap_msghistory.airbyte.streams import StreamOutput
from tap_msghistory.errors import FatalError, StoppedBySignal, TapError, describe_absent_stream
from tap_msghistory.output import OutputError
from tap_msghistory.planning import bookmarks
from tap_msghistory.reading.records import Rejected
from tap_msghistory.reading.source import HistorySource
from tap_msghistory.syncing.history_sync import HistorySync
from tap_msghistory.syncing.run import SyncRun

logger = logging.getLogger("tap-msghistory.airbyte")


class Reading:
    """One run of `read`."""

    def __init__(
        self,
        run: SyncRun,
        declared: Mapping[str, Declaration],
        selected: Sequence[ConfiguredStream],
        states: Mapping[str, Mapping[str, Any]],
        writer: MessageWriter,
    ) -> None:
        self._run = run
        self._writer = writer
        self._unknown = [stream.name for stream in selected if stream.name not in declared]
        self._outputs = {
            stream.name: StreamOutput(declared[stream.name], stream, states.get(stream.name, {}), writer)
            for stream in selected
            if stream.name in declared
        }
        #: The errors of streams that were not read to their end.
        self.errors: dict[str, Exception] = {}
        self._rejected = self._outputs.get(run.rejected_messages.name)
        self._ledger = self._outputs.get(run.sync_windows.name)
        run.rejections.is_selected = self._rejected is not None

    def read(self) -> None:
        """Read all streams. Raises `FatalError`, and `StoppedBySignal` after a complete line."""
        try:
            self._read()
        except (FatalError, StoppedBySignal) as error:
            if not isinstance(error, OutputError):
                for output in self._outputs.values():
                    output.abort()
            raise

    def _read(self) -> None:
        auxiliary = [output for output in (self._rejected, self._ledger) if output]
        for name in self._unknown:
            self.errors[name] = TapError(describe_absent_stream(name))
            self._writer.write(status_message(name, protocol.AirbyteStreamStatus.INCOMPLETE))
        for output in auxiliary:
            output.start()
        for output in self._outputs.values():
            if output.declaration.source:
                self._read_history(output, output.declaration.source)
        for output in auxiliary:
            output.complete()

    def _read_history(self, output: StreamOutput, source: HistorySource) -> None:
        """Read a history. Its failure is kept, so that the other streams are read."""

        def sync() -> None:
            try:
                self._sync(output, source)
            except FatalError:
                raise
            except Exception as error:
                self.errors[output.name] = error
                raise

        output.start()
        self._run.failures.guard(output.name, source.client, sync)
        if output.abort():
            skipped = TapError("skipped because another stream with the same credential failed")
            self.errors.setdefault(output.name, skipped)

    def _sync(self, output: StreamOutput, source: HistorySource) -> None:
        if output.is_complete:
            logger.warning(
                "%s is skipped: by its state, this full refresh is complete. To read it again, start without "
                "a state",
                output.name,
            )
            output.complete()
            return
        if output.is_full_refresh and self._run.account.settings.rereads:
            raise TapError(
                "Setting reread cannot be combined with a full refresh, which would delete all other messages"
            )
        sync = HistorySync(source, self._run, self._writer.check)
        for batch in sync.read(sync.bookmark(output.bookmark)):
            self._write_rejected(source.name, batch.rejected)
            output.write(batch.records)
            batch.records.clear()  # frees the memory before the next window is awaited
            if batch.completed:
                # Everything that a state covers precedes it.
                _write_auxiliary(self._ledger, [batch.completed.ledger_row])
                state = output.bookmark  # which the setting `reread` does not move
                if batch.completed.bookmark is not None:
                    state = {}
                    bookmarks.write(batch.completed.bookmark, source.replication_key, state)
                output.write_state(state)
        output.complete()

    def _write_rejected(self, stream: str, rejected: list[Rejected]) -> None:
        """Write the rejected messages of a batch. Raises `FatalError` if they exceed `max_rejected`."""
        if rejected:
            _write_auxiliary(
                self._rejected, [self._run.rejection_row(stream, message) for message in rejected]
            )
            self._run.rejections.count(rejected)


def _write_auxiliary(output: StreamOutput | None, rows: list[dict[str, Any]]) -> None:
    """Write rows of an auxiliary stream with a state, if it is selected."""
    if output:
        output.write(rows)
        cursor = output.declaration.cursor
        output.write_state({"replication_key": cursor, "replication_key_value": rows[-1][cursor]})
