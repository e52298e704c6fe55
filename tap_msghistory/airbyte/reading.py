"""Reads the selected streams, one after the other, and writes them as Airbyte messages."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from airbyte_protocol_dataclasses.models import AirbyteStreamStatus

from tap_msghistory.airbyte.catalogs import ConfiguredStream
from tap_msghistory.airbyte.messages import MessageWriter, status_message
from tap_msghistory.airbyte.streams import StreamOutput
from tap_msghistory.errors import FatalError, StoppedBySignal, TapError
from tap_msghistory.output import OutputError
from tap_msghistory.reading.source import HistorySource
from tap_msghistory.syncing.auxiliary import AuxiliaryDeclaration
from tap_msghistory.syncing.history_sync import HistorySync
from tap_msghistory.syncing.run import SyncRun

logger = logging.getLogger("tap-msghistory.airbyte")


class Reading:
    """One run of `read`."""

    def __init__(self, run: SyncRun, writer: MessageWriter) -> None:
        self._run = run
        self._writer = writer
        self._outputs: dict[str, StreamOutput] = {}

    def read(
        self, selected: Iterable[ConfiguredStream], states: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Exception]:
        """Read streams from their states. Return the errors of those that were not read to their end.

        Raises `FatalError`, and `StoppedBySignal` after a complete line.
        """
        declared = {stream.name: stream for stream in self._run.streams}
        errors: dict[str, Exception] = {}
        for stream in selected:
            name = stream.name
            if name in declared:
                self._outputs[name] = StreamOutput(declared[name], stream, states.get(name, {}), self._writer)
            else:
                errors[name] = self._run.absent_stream(name)
                self._writer.write(status_message(name, AirbyteStreamStatus.INCOMPLETE))
        try:
            self._read()
        except (FatalError, StoppedBySignal) as error:
            if not isinstance(error, OutputError):
                for output in self._outputs.values():
                    output.abort()
            raise
        skipped = TapError("skipped because another stream with the same credential failed")
        failures = self._run.failures
        return {**errors, **failures.errors, **dict.fromkeys(failures.skipped, skipped)}

    def _read(self) -> None:
        run, outputs = self._run, self._outputs
        run.rejections.is_selected = run.rejected_messages.name in outputs
        auxiliary = [outputs[stream.name] for stream in run.auxiliary if stream.name in outputs]
        for output in auxiliary:
            output.start()
        sources = {source.name: source for source in run.sources}
        for name, output in outputs.items():
            if source := sources.get(name):
                output.start()
                run.failures.guard(name, source.client, partial(self._sync, source, output))
                output.abort()
        for output in auxiliary:
            output.complete()

    def _sync(self, source: HistorySource, output: StreamOutput) -> None:
        if output.is_complete:
            logger.warning(
                "%s is skipped: by its state, this full refresh is complete. To read it again, start without "
                "a state",
                source.name,
            )
            output.complete()
            return
        if output.is_full_refresh and self._run.account.settings.rereads:
            raise TapError(
                "Setting reread cannot be combined with a full refresh, which would delete all other messages"
            )
        for batch in HistorySync(source, self._run, self._writer.check).read(output.bookmark):
            self._write_auxiliary(self._run.rejected_messages, batch.rejected)
            output.write(batch.records)
            if batch.completed:
                # Everything that a state covers precedes it.
                self._write_auxiliary(self._run.sync_windows, [batch.completed.ledger_row])
                batch.completed.update(output.bookmark)
                output.write_state()
        output.complete()

    def _write_auxiliary(self, stream: AuxiliaryDeclaration, rows: list[dict[str, Any]]) -> None:
        """Write rows of an auxiliary stream with a state, if it is selected."""
        output, key = self._outputs.get(stream.name), stream.replication_key
        if output and rows:
            output.write(rows)
            output.bookmark = {"replication_key": key, "replication_key_value": rows[-1][key]}
            output.write_state()
