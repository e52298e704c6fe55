"""How every stream syncs: plan, read, emit in send order, and move the bookmark window by window."""

from __future__ import annotations

import logging
import sys
from collections.abc import Generator, Iterable, Iterator
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from singer_sdk import Stream
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib import RecordMessage
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

from tap_msghistory.errors import ApiError, TapError
from tap_msghistory.planning import bookmarks
from tap_msghistory.planning.windows import Bookmark, Window, advance, plan
from tap_msghistory.reading.source import Watch
from tap_msghistory.reading.window_rows import Batch
from tap_msghistory.schemas import object_columns, with_objects_as_text
from tap_msghistory.streams import fast_path as shortcut
from tap_msghistory.streams.batches import get_batcher
from tap_msghistory.streams.progress import StreamProgress
from tap_msghistory.streams.writer import Writer
from tap_msghistory.timestamps import floor, to_text

if TYPE_CHECKING:
    from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig
    from singer_sdk.helpers.types import Context, Record

    from tap_msghistory.tap import TapMessageHistory
    from tap_msghistory.vendors import MessageHistory


class Plan(NamedTuple):
    """What a run reads."""

    bookmark: Bookmark  #: from where it goes on
    until: datetime  #: as of when
    windows: list[Window]


class MessageHistoryStream(Stream):
    """A message history as a Singer stream."""

    is_sorted = True

    #: The tap's records are of their schema's types, and have no other fields, as they are shaped.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    _tap: TapMessageHistory

    def __init__(self, tap: TapMessageHistory, history: MessageHistory) -> None:
        """Emit `history`. The replication key is its send time, whatever a catalog says."""
        as_text = tap.config["objects_as_json"]
        schema = with_objects_as_text(history.schema) if as_text else dict(history.schema)
        super().__init__(tap, schema=schema, name=history.name)
        self.history = history
        self._text_columns = object_columns(history.schema) if as_text else []
        self.primary_keys = history.identity.key
        self.replication_key = history.sent_at
        self._unwritten: Bookmark | None = None
        # Errors that explain themselves are reported once, by the command.
        self.logger.addFilter(_is_no_handled_error)

    def sync(self, context: Context | None = None) -> None:  # type: ignore[misc] # which the SDK declares final
        """Sync. A failure is kept for the end of the run, so that the other streams are read too."""
        self._tap.failures.guard(self.name, self.history.client, partial(super().sync, context))

    def planned(self) -> Plan:
        """Return what a run that begins now reads."""
        settings = self._tap.account.settings
        until = floor(settings.read_until(self.history.client.now()))
        bookmark = self._read_bookmark()
        if until < bookmark.read_to:
            self.logger.warning(
                "Nothing is read: start_date or the state is at %s, which is after %s",
                to_text(bookmark.read_to),
                to_text(until),
            )
        return Plan(bookmark, until, plan(bookmark, until, settings.schedule, self.history.max_span))

    def check(self) -> str:
        """Request one small page of what a run would read last, and return what it shows in a few words."""
        windows = self.planned().windows
        return self.history.check(windows[-1]) if windows else "ok, nothing to read"

    def get_records(self, context: Context | None) -> Iterable[Record]:  # noqa: ARG002
        """Yield the messages of every planned window, oldest first, none twice."""
        # Columns that are unknown to a catalog which the user has cut, or kept from before.
        unknown = self.schema["properties"].keys() - self.effective_schema["properties"].keys()
        for records in self._read():
            for record in map(msgspec.structs.asdict, records):
                for name in unknown:
                    del record[name]
                yield record

    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, Any, Any]:
        """Emit the records: the short way where it is right, else the SDK's."""
        writer = self._tap.message_writer
        if not (write_messages and isinstance(writer, Writer) and shortcut.is_open(self)):
            yield from super()._sync_records(context, write_messages=write_messages)
            return
        with self.get_record_counter() as counter, self.get_sync_timer():
            for records in self._read():
                shortcut.write(writer, self.name, records)
                counter.increment(len(records))

    def _generate_record_messages(self, record: Record) -> Generator[RecordMessage, None, None]:
        """Apply what the user has asked for. Raises `TapError`: the map's own error may show the record."""
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

        Raises `TapError` for several stream maps: the SDK would announce the same file for each.
        """
        if len(self.stream_maps) > 1:
            raise TapError(f"Setting batch_config does not go with several stream maps of {self.name}")
        with self.get_sync_timer():
            messages = chain.from_iterable(map(self._generate_record_messages, self.get_records(context)))
            batcher = get_batcher(self.tap_name, self.name, batch_config)
            for manifest in batcher.get_batches(message.record for message in messages):
                self._move_state()
                yield batch_config.encoding, manifest
            self._move_state()

    def _read(self) -> Iterator[list[Any]]:
        """Yield the messages of each planned window; when asked for the next, move the bookmark."""
        bookmark, until, windows = self.planned()
        if self.ABORT_AT_RECORD_COUNT is not None:  # --test
            if windows:
                yield self.history.sample(windows[-1])
            return
        self._warn_of_start_date(bookmark)
        progress = self._tap.progress.begin(self.name, windows)
        watch = Watch(self._tap.progress.begin_effort, self._tap.check_output)
        batches = self._read_windows(windows, watch, until)
        first = [*islice(batches, 1)]
        if first and (replanned := self.planned()).until < until:
            # The first response has shown that this machine's clock is ahead of the server's.
            batches.close()
            bookmark, until, windows = replanned
            progress.plan(windows)
            first, batches = [], self._read_windows(windows, watch, until)
        messages = rejected = 0
        for batch in chain(first, batches):
            window = batch.window
            if batch.rejected:
                rejected += len(batch.rejected)
                self._tap.rejected_messages.write(self.name, batch.rejected)
            messages += len(batch.records)
            progress.add_messages(len(batch.records), window.reason)
            for name in self._text_columns:
                _encode_column(batch.records, name)
            yield batch.records
            batch.records.clear()  # or they would be in memory until the next window is
            if not batch.ends_window:
                continue
            progress.add_window(window, rejected)
            self._tap.sync_windows.write(self.name, batch, messages=messages, rejected=rejected)
            messages = rejected = 0
            bookmark = advance(bookmark, window, until, self._tap.account.settings.schedule)
            self._write_bookmark(bookmark)
        progress.ended = self._tap.progress.clock()
        self._warn_of_findings(progress)

    def _read_windows(
        self, windows: list[Window], watch: Watch, until: datetime
    ) -> Generator[Batch, None, None]:
        """Yield the windows' batches. A window that is read again may be refused, a new one may not.

        Raises `ApiError`, which names `start_date` if it is the range that the vendor refuses.
        """
        served = False
        try:
            for batch in self.history.read(windows, watch):
                if batch.refusal is not None:
                    served = served or self.history.shows(until)
                    if not served:
                        raise batch.refusal
                    self.logger.warning(
                        "The vendor refuses to show %s again, from %s (%s). It may be beyond its retention "
                        "period: shorten revisit_after or lookback",
                        self.name,
                        batch.window.describe(),
                        batch.refusal,
                    )
                yield batch
        except ApiError as error:
            if not (error.is_refusal and (served or self.history.shows(until))):
                raise
            raise ApiError(
                f"{error}. The vendor shows newer messages: what is to be read next may be beyond its "
                "retention period. Set start_date to where its history begins",
                error.status,
            ) from error

    def _warn_of_start_date(self, bookmark: Bookmark) -> None:
        start_date = self._tap.account.settings.schedule.start_date
        if bookmark.read_from is not None and start_date < bookmark.read_from:
            self.logger.warning(
                "start_date %s has no effect on %s: its state begins at %s. To read older messages, run once "
                "with this start_date, an end_date and a state of its own",
                to_text(start_date),
                self.name,
                to_text(bookmark.read_from),
            )

    def _warn_of_findings(self, progress: StreamProgress) -> None:
        """Report once what the windows of a run have shown."""
        if progress.rejected:
            self.logger.warning(
                "%d messages of %s could not be shaped; %s",
                progress.rejected,
                self.name,
                self._tap.rejected_messages.whereabouts,
            )
        if outside := sum(effort.outside for effort in progress.efforts):
            self.logger.warning(
                "%d messages of %s were sent more than two days outside of the range that was asked for",
                outside,
                self.name,
            )
        if replaced := sum(effort.replaced for effort in progress.efforts):
            self.logger.warning(
                "%d characters of %s could not be kept and were replaced by U+FFFD", replaced, self.name
            )

    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """Have none: the bookmark never passes what was read."""

    def _increment_stream_state(self, *_: Any, **__: Any) -> None:
        """Leave the state alone: it moves with windows, not with records."""

    def _write_starting_replication_value(self, *_: Any, **__: Any) -> None:
        """Leave the state alone: where a run starts is the plan's to say."""

    @property
    def _is_incremental(self) -> bool:
        return self.replication_method != REPLICATION_FULL_TABLE

    def _read_bookmark(self) -> Bookmark:
        """Return what the state says. Raises `TapError` where it is not readable."""
        try:
            return bookmarks.read(
                self.stream_state if self._is_incremental else {},
                self._tap.account.settings.schedule.start_date,
                self.history.sent_at,
            )
        except ValueError as error:
            raise TapError(f"The state of {self.name} is not readable: {error}") from error

    def _write_bookmark(self, bookmark: Bookmark) -> None:
        """Move the state, and emit it: all that it covers has been written by now.

        With `batch_config`, the state moves when the file that ends the window has been written. The SDK
        emits it after the message that announces the file.
        """
        if not self._is_incremental:
            return
        self._unwritten = bookmark
        if self.get_batch_config(self.config) is None:
            self._move_state()
            self._write_state_message()

    def _move_state(self) -> None:
        """Move the state over all windows that have been written."""
        if self._unwritten:
            bookmarks.write(self._unwritten, self.history.sent_at, self.stream_state)
            self.state_manager.is_flushed = False
            self._unwritten = None


def _encode_column(records: list[Any], name: str) -> None:
    for record in records:
        if (value := getattr(record, name)) is not None:
            setattr(record, name, msgspec.json.encode(value).decode())


def _is_no_handled_error(record: logging.LogRecord) -> bool:
    """Hide the SDK's own report of an "unhandled error": the command handles every one."""
    return record.levelno < logging.ERROR or sys.exc_info()[1] is None
