"""The base class of the message histories: emits their messages and states as Singer messages."""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from singer_sdk import Stream, Tap
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib import RecordMessage
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

from tap_msghistory.errors import TapError
from tap_msghistory.planning.estimate import StreamEstimate
from tap_msghistory.reading.source import HistorySource
from tap_msghistory.schemas import object_columns, with_objects_as_text
from tap_msghistory.streams import fast_path
from tap_msghistory.streams.batch_files import get_batcher
from tap_msghistory.streams.context import SyncContext
from tap_msghistory.syncing.history_sync import CompletedWindow, HistorySync

if TYPE_CHECKING:
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record


class MessageHistoryStream(Stream):
    """A message history as a Singer stream. A subclass declares the stream."""

    source_type: ClassVar[type[HistorySource]]
    schema: dict[str, Any]

    is_sorted = True

    #: Normalized records already have the types and the columns of their schema.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: Tap, sync_context: SyncContext) -> None:
        """Create the stream; nothing is requested yet."""
        super().__init__(tap)
        self._sync_context = sync_context
        source = self.source_type(sync_context.run.account)
        self.history_sync = HistorySync(source, sync_context.run, sync_context.check_output)
        self.schema, self.primary_keys = self.source.schema, self.source.primary_keys
        self._text_columns: list[str] = []
        if tap.config["objects_as_json"]:
            self._text_columns = object_columns(self.schema)
            self.schema = with_objects_as_text(self.schema)
        self._unwritten: CompletedWindow | None = None
        # The command reports each error once.
        self.logger.addFilter(_drop_handled_errors)

    @property
    def source(self) -> HistorySource:
        """The message history that is synced."""
        return self.history_sync.source

    def sync(self, context: Context | None = None) -> None:  # type: ignore[misc] # declared final by the SDK
        """Sync the stream. A failure is kept until the end of the run, so that the other streams are read."""
        self._sync_context.run.failures.guard(self.name, self.source.client, partial(super().sync, context))

    def check(self) -> str:
        """Send one small request for the last planned window, and summarize the result."""
        return self.history_sync.check(self._start_state)

    def estimate(self) -> StreamEstimate:
        """Estimate a run that starts now from a few small requests. Raises `ApiError`."""
        return self.history_sync.estimate(self._start_state)

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002
        """Yield the messages of every planned window, oldest first, each once."""
        # Columns missing from a catalog that was shortened by hand or written by an older version.
        absent = self.schema["properties"].keys() - self.effective_schema["properties"].keys()
        for records in self._read():
            for record in map(msgspec.structs.asdict, records):
                for name in absent:
                    del record[name]
                yield record

    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, Any, Any]:
        """Emit the records: on the fast path if no per-record feature is enabled, else on the SDK's path."""
        writer = self._sync_context.writer
        if not (write_messages and writer is not None and fast_path.is_available(self)):
            yield from super()._sync_records(context, write_messages=write_messages)
            return
        with self.get_record_counter() as counter, self.get_sync_timer():
            for records in self._read():
                fast_path.write(writer, self.name, records)
                counter.increment(len(records))

    def _generate_record_messages(self, record: Record) -> Generator[RecordMessage, None, None]:
        """Apply selection and stream maps. Raises `TapError`: a map's own error may quote the record."""
        try:
            yield from super()._generate_record_messages(record)
        except Exception as error:
            raise TapError(
                f"A stream map of {self.name} failed ({type(error).__name__}): check stream_maps and "
                "stream_map_config"
            ) from error

    def get_batches(
        self, batch_config: BatchConfig, context: Context | None = None
    ) -> Iterable[tuple[BaseBatchFileEncoding, list[str]]]:
        """Yield files of records after selection and stream maps, which the SDK's own files bypass.

        Raises `TapError` for several stream maps, because the SDK would announce the same file for each.
        """
        if len(self.stream_maps) > 1:
            raise TapError(f"Setting batch_config does not support several stream maps of {self.name}")
        with self.get_sync_timer():
            messages = chain.from_iterable(map(self._generate_record_messages, self.get_records(context)))
            batcher = get_batcher(self.tap_name, self.name, batch_config)
            for manifest in batcher.get_batches(message.record for message in messages):
                self._update_state()
                yield batch_config.encoding, manifest
            self._update_state()

    def _read(self) -> Iterator[list[Any]]:
        """Yield the records of each batch; advance the bookmark after the last batch of a window."""
        state, sync = self._start_state, self.history_sync
        if self.ABORT_AT_RECORD_COUNT is not None:  # a dry run of the SDK
            if windows := sync.plan(state).windows:
                yield self.source.sampler.sample(windows[-1])
            return
        for batch in sync.read(state):
            if batch.rejected:
                self._sync_context.rejected_messages.write(batch.rejected)
                continue
            for name in self._text_columns:
                _encode_column(batch.records, name)
            yield batch.records
            if batch.completed:
                self._sync_context.sync_windows.write_record(batch.completed.ledger_row)
                self._write_bookmark(batch.completed)

    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Return None: the bookmark never exceeds what was read."""

    def _increment_stream_state(self, *_: Any, **__: Any) -> None:
        """Do nothing: the state advances per window, not per record."""

    def _write_starting_replication_value(self, *_: Any, **__: Any) -> None:
        """Do nothing: the plan determines where a run starts."""

    @property
    def _is_incremental(self) -> bool:
        return self.replication_method != REPLICATION_FULL_TABLE

    @property
    def _start_state(self) -> Mapping[str, Any]:
        """The state from which the run starts."""
        return self.stream_state if self._is_incremental else {}

    def _write_bookmark(self, completed: CompletedWindow) -> None:
        """Update the state and emit it. Everything that it covers has been written.

        With `batch_config`, the state is updated when the file that ends the window has been written. The SDK
        emits it after the message that announces the file.
        """
        if not self._is_incremental or completed.bookmark is None:
            return
        self._unwritten = completed
        if self.get_batch_config(self.config) is None:
            self._update_state()
            self._write_state_message()

    def _update_state(self) -> None:
        """Advance the state to the end of the last window that has been written."""
        if self._unwritten:
            self._unwritten.update(self.stream_state)
            self.state_manager.is_flushed = False
            self._unwritten = None


def _encode_column(records: list[Any], name: str) -> None:
    for record in records:
        if (value := getattr(record, name)) is not None:
            setattr(record, name, msgspec.json.encode(value).decode())


def _drop_handled_errors(record: logging.LogRecord) -> bool:
    """Return False for the SDK's report of an "unhandled error": the command reports every error."""
    return record.levelno < logging.ERROR or sys.exc_info()[1] is None
