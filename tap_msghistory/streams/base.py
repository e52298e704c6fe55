"""The sync of a message history: plan, read, emit in send order, and advance the bookmark per window."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Generator, Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import msgspec
from singer_sdk import Stream, Tap
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib import RecordMessage
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

from tap_msghistory.errors import ApiError, TapError
from tap_msghistory.planning import bookmarks
from tap_msghistory.planning.bookmarks import Bookmark
from tap_msghistory.planning.estimate import (
    StreamEstimate,
    Throughput,
    density,
    estimate_range,
    sample_windows,
)
from tap_msghistory.planning.plan import Schedule, advance, plan
from tap_msghistory.planning.windows import Window, joined
from tap_msghistory.reading.batches import Batch
from tap_msghistory.reading.read_ahead import ReadCallbacks
from tap_msghistory.reading.source import HistorySource
from tap_msghistory.schemas import object_columns, with_objects_as_text
from tap_msghistory.stats import WindowStats
from tap_msghistory.streams import fast_path
from tap_msghistory.streams.batch_files import get_batcher
from tap_msghistory.streams.context import SyncContext
from tap_msghistory.streams.progress import StreamProgress
from tap_msghistory.timestamps import floor, to_text

if TYPE_CHECKING:
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record


class Plan(NamedTuple):
    """The windows that a run reads."""

    bookmark: Bookmark  #: where the run starts
    until: datetime  #: the send time up to which it reads
    windows: list[Window]


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
        self.source = self.source_type(sync_context.account)
        self._text_columns: list[str] = []
        if tap.config["objects_as_json"]:
            self._text_columns = object_columns(self.source.schema)
            self.schema = with_objects_as_text(self.source.schema)
        self._unwritten: Bookmark | None = None
        # The command reports each error once.
        self.logger.addFilter(_drop_handled_errors)

    def sync(self, context: Context | None = None) -> None:  # type: ignore[misc] # declared final by the SDK
        """Sync the stream. A failure is kept until the end of the run, so that the other streams are read."""
        self._sync_context.failures.guard(self.name, self.source.client, partial(super().sync, context))

    def plan(self) -> Plan:
        """Plan a run that starts now."""
        until = floor(self._sync_context.account.settings.read_until(self.source.client.now()))
        bookmark = self._read_bookmark()
        if until < bookmark.read_to:
            self.logger.warning(
                "Nothing to read: start_date or the state is at %s, which is after %s",
                to_text(bookmark.read_to),
                to_text(until),
            )
        return Plan(bookmark, until, plan(bookmark, until, self._schedule, self.source.max_span))

    def check(self) -> str:
        """Send one small request for the last planned window, and summarize the result."""
        windows = self.plan().windows
        return self.source.sampler.check(windows[-1]) if windows else "ok, nothing to read"

    def estimate(self) -> StreamEstimate:
        """Estimate a run that starts now from a few small requests. Raises `ApiError`."""
        ranges, stats = joined(self.plan().windows), WindowStats()
        started = time.monotonic()
        samples = [(window, self.source.sampler.estimate(window, stats)) for window in sample_windows(ranges)]
        throughput = Throughput(
            page_size=self.config["page_size"],
            concurrency=self.config["concurrency"],
            requests_per_second=self.source.client.requests_per_second,
            seconds_per_request=(time.monotonic() - started) / max(stats.requests, 1),
        )
        messages_per_second = density(samples)
        return StreamEstimate(
            self.name,
            stats.requests,
            [estimate_range(window, messages_per_second, throughput) for window in ranges],
        )

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
        bookmark, until, windows = self.plan()
        if self.ABORT_AT_RECORD_COUNT is not None:  # a dry run of the SDK
            if windows:
                yield self.source.sampler.sample(windows[-1])
            return
        self._warn_about_start_date(bookmark)
        shared = self._sync_context
        progress = shared.progress.start(self.name, windows)
        batches = self._read_windows(windows, until)
        first = [*islice(batches, 1)]
        if first and (replanned := self.plan()).until < until:
            # According to the first response, this machine's clock is ahead of the server's.
            batches.close()
            bookmark, until, windows = replanned
            progress.set_planned(windows)
            first, batches = [], self._read_windows(windows, until)
        messages = rejected = 0
        for batch in chain(first, batches):
            window = batch.window
            if batch.rejected:
                rejected += len(batch.rejected)
                shared.rejected_messages.write(self.name, batch.rejected)
            messages += len(batch.records)
            progress.add_messages(len(batch.records), window.reason)
            for name in self._text_columns:
                _encode_column(batch.records, name)
            yield batch.records
            batch.records.clear()  # frees the memory before the next window is awaited
            if not batch.ends_window:
                continue
            progress.add_window(window, rejected)
            shared.sync_windows.write(self.name, batch, messages=messages, rejected=rejected)
            messages = rejected = 0
            bookmark = advance(bookmark, window, until, self._schedule)
            self._write_bookmark(bookmark)
        progress.ended = shared.progress.clock()
        self._warn_about_findings(progress)

    def _read_windows(self, windows: list[Window], until: datetime) -> Generator[Batch, None, None]:
        """Yield the windows' batches. A refused revisit or lookback window does not end the sync.

        Raises `ApiError`, with advice about `start_date` if the vendor refuses the range but serves newer
        messages.
        """
        callbacks = ReadCallbacks(self._sync_context.progress.new_stats, self._sync_context.check_output)
        accepts_newer = False
        try:
            for batch in self.source.read(windows, callbacks):
                if batch.refusal is not None:
                    accepts_newer = accepts_newer or self.source.sampler.accepts(until)
                    if not accepts_newer:
                        raise batch.refusal
                    self.logger.warning(
                        "The vendor refused to return %s again for %s (%s). This window may be beyond the "
                        "retention period: shorten revisit_after or lookback",
                        self.name,
                        batch.window.describe(),
                        batch.refusal,
                    )
                yield batch
        except ApiError as error:
            if not (error.is_range_refused and (accepts_newer or self.source.sampler.accepts(until))):
                raise
            raise ApiError(
                f"{error}. The vendor returns newer messages, so this range may be beyond its retention "
                "period. Set start_date to a time within the retention period",
                error.status,
            ) from error

    def _warn_about_start_date(self, bookmark: Bookmark) -> None:
        start_date = self._schedule.start_date
        if bookmark.read_from is not None and start_date < bookmark.read_from:
            self.logger.warning(
                "start_date %s has no effect on %s: its state starts at %s. To read older messages, run once "
                "with this start_date, an end_date and a separate state",
                to_text(start_date),
                self.name,
                to_text(bookmark.read_from),
            )

    def _warn_about_findings(self, progress: StreamProgress) -> None:
        """Log one warning each for invalid, out-of-range and altered messages."""
        if progress.rejected:
            self.logger.warning(
                "%d messages of %s are invalid; %s",
                progress.rejected,
                self.name,
                self._sync_context.rejected_messages.location,
            )
        if outside := sum(stats.outside for stats in progress.window_stats):
            self.logger.warning(
                "%d messages of %s have send times more than two days outside the requested range",
                outside,
                self.name,
            )
        if replaced := sum(stats.replaced for stats in progress.window_stats):
            self.logger.warning(
                "%d characters of %s are not valid and were replaced by U+FFFD", replaced, self.name
            )

    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Return None: the bookmark never exceeds what was read."""

    def _increment_stream_state(self, *_: Any, **__: Any) -> None:
        """Do nothing: the state advances per window, not per record."""

    def _write_starting_replication_value(self, *_: Any, **__: Any) -> None:
        """Do nothing: the plan determines where a run starts."""

    @property
    def _schedule(self) -> Schedule:
        schedule: Schedule = self._sync_context.account.settings.schedule
        return schedule

    @property
    def _is_incremental(self) -> bool:
        return self.replication_method != REPLICATION_FULL_TABLE

    def _read_bookmark(self) -> Bookmark:
        """Return the bookmark of the state. Raises `TapError` if it is not readable."""
        try:
            return bookmarks.read(
                self.stream_state if self._is_incremental else {},
                self._schedule.start_date,
                self.source.replication_key,
            )
        except ValueError as error:
            raise TapError(f"The state of {self.name} is not readable: {error}") from error

    def _write_bookmark(self, bookmark: Bookmark) -> None:
        """Update the state and emit it. Everything that it covers has been written.

        With `batch_config`, the state is updated when the file that ends the window has been written. The SDK
        emits it after the message that announces the file.
        """
        if not self._is_incremental:
            return
        self._unwritten = bookmark
        if self.get_batch_config(self.config) is None:
            self._update_state()
            self._write_state_message()

    def _update_state(self) -> None:
        """Advance the state to the end of the last window that has been written."""
        if self._unwritten:
            bookmarks.write(self._unwritten, self.source.replication_key, self.stream_state)
            self.state_manager.is_flushed = False
            self._unwritten = None


def _encode_column(records: list[Any], name: str) -> None:
    for record in records:
        if (value := getattr(record, name)) is not None:
            setattr(record, name, msgspec.json.encode(value).decode())


def _drop_handled_errors(record: logging.LogRecord) -> bool:
    """Return False for the SDK's report of an "unhandled error": the command reports every error."""
    return record.levelno < logging.ERROR or sys.exc_info()[1] is None
