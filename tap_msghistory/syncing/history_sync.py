"""The sync of one message history: plan, read in send order, and advance the bookmark per window."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import Any, NamedTuple

from tap_msghistory.errors import ApiError, TapError
from tap_msghistory.planning import bookmarks, rereads
from tap_msghistory.planning.bookmarks import Bookmark
from tap_msghistory.planning.estimate import (
    StreamEstimate,
    Throughput,
    density,
    estimate_range,
    sample_windows,
)
from tap_msghistory.planning.plan import Schedule, advance, plan
from tap_msghistory.planning.windows import Reason, Window, joined
from tap_msghistory.reading.batches import Batch
from tap_msghistory.reading.read_ahead import ReadCallbacks, do_nothing
from tap_msghistory.reading.source import HistorySource
from tap_msghistory.schemas import ACCOUNT
from tap_msghistory.stats import WindowStats
from tap_msghistory.syncing.progress import StreamProgress
from tap_msghistory.syncing.run import SyncRun
from tap_msghistory.timestamps import to_text


class Plan(NamedTuple):
    """The windows that a run reads."""

    bookmark: Bookmark  #: where the run starts
    until: datetime  #: the send time up to which it reads
    windows: list[Window]


@dataclass(frozen=True, slots=True)
class CompletedWindow:
    """The end of a window. Emit the row first, then the state."""

    ledger_row: dict[str, Any]
    bookmark: Bookmark | None  #: None: the state does not change
    replication_key: str

    def update(self, state: MutableMapping[str, Any]) -> None:
        """Store the bookmark in a stream's state."""
        if self.bookmark is not None:
            bookmarks.write(self.bookmark, self.replication_key, state)


@dataclass(slots=True)
class SyncedBatch:
    """Messages to emit, in send order: either rejected ones or records."""

    rejected: list[dict[str, Any]] = field(default_factory=list)  #: rows of the stream `rejected_messages`
    records: list[Any] = field(default_factory=list)  #: Structs with the columns of the source's schema
    completed: CompletedWindow | None = None  #: the window that these messages complete


class HistorySync:
    """Syncs one message history in one run.

    `state` is the stream's state, in the form of a Singer bookmark. With an empty one, the sync starts at
    `start_date`. Methods raise `TapError` if the state is not readable or belongs to another account.
    """

    def __init__(
        self, source: HistorySource, run: SyncRun, check_output: Callable[[], None] = do_nothing
    ) -> None:
        """Create the sync; nothing is requested yet.

        `check_output` is called about once per second while nothing can be emitted. It raises an error to
        stop the sync.
        """
        self.source = source
        self._run = run
        self._check_output = check_output
        self._logger = logging.getLogger(f"tap-msghistory.{source.name}")

    def _bookmark(self, state: Mapping[str, Any]) -> Bookmark:
        account = self._run.account.constants.get(ACCOUNT)
        try:
            found = bookmarks.read(state, self._schedule.start_date, self.source.replication_key)
        except ValueError as error:
            raise TapError(f"The state of {self.source.name} is not readable: {error}") from error
        if state and found.account != account:
            raise TapError(
                f"The state of {self.source.name} belongs to another account, or was written without one: "
                "use a separate state for each account, and set account before the first load"
            )
        return replace(found, account=account)

    def plan(self, state: Mapping[str, Any]) -> Plan:
        """Plan a sync that starts now."""
        return self._plan(self._bookmark(state))

    def _plan(self, bookmark: Bookmark) -> Plan:
        settings, source = self._run.account.settings, self.source
        if settings.rereads:
            self._run.check_rereads(source.name)
            until = settings.visible_until(source.client.now())
            windows = rereads.windows(settings.rereads, source.name, until, source.max_span)
            return Plan(bookmark, until, windows)
        until = settings.read_until(source.client.now())
        if until < bookmark.read_to:
            self._logger.warning(
                "Nothing to read: start_date or the state is at %s, which is after %s",
                to_text(bookmark.read_to),
                to_text(until),
            )
        return Plan(bookmark, until, plan(bookmark, until, self._schedule, source.max_span))

    def check(self, state: Mapping[str, Any]) -> str:
        """Send one small request for the last planned window, and summarize the result."""
        _, until, windows = self.plan(state)
        if windows:
            return self.source.sampler.check(windows[-1])
        self.source.sampler.check(Window(until - timedelta(days=1), until, Reason.NEW))
        return "ok, nothing to read"

    def estimate(self, state: Mapping[str, Any]) -> StreamEstimate:
        """Estimate a sync that starts now from a few small requests. Raises `ApiError`."""
        ranges, stats = joined(self.plan(state).windows), WindowStats()
        started = time.monotonic()
        samples = [(window, self.source.sampler.estimate(window, stats)) for window in sample_windows(ranges)]
        throughput = Throughput(
            page_size=self._run.account.config["page_size"],
            concurrency=self._run.account.config["concurrency"],
            requests_per_second=self.source.client.requests_per_second,
            seconds_per_request=(time.monotonic() - started) / max(stats.requests, 1),
        )
        messages_per_second = density(samples)
        return StreamEstimate(
            self.source.name,
            stats.requests,
            [estimate_range(window, messages_per_second, throughput) for window in ranges],
        )

    def read(self, state: Mapping[str, Any]) -> Iterator[SyncedBatch]:
        """Yield all planned messages, each once, and with the last of each window the bookmark after it.

        A batch's records are valid until the next batch is requested. Raises `FatalError` if the streams of
        the run have more rejected messages than `max_rejected`, after those have been yielded.
        """
        bookmark, until, windows = self.plan(state)
        self._warn_about_start_date(bookmark)
        run, name = self._run, self.source.name
        progress = run.progress.start(name, windows)
        batches = self._read_windows(windows, until)
        first = [*islice(batches, 1)]
        if first and (replanned := self._plan(bookmark)).until < until:
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
                progress.rejected += len(batch.rejected)
                rows = [run.rejection_row(name, message) for message in batch.rejected]
                yield SyncedBatch(rejected=rows)
                run.rejections.count(rows)
            messages += len(batch.records)
            progress.add_messages(len(batch.records), window.reason)
            completed = None
            if batch.ends_window:
                row = run.ledger_row(name, batch, messages=messages, rejected=rejected)
                moved = None
                if window.reason is not Reason.REREAD:
                    moved = bookmark = advance(bookmark, window, until, self._schedule)
                completed = CompletedWindow(row, moved, self.source.replication_key)
            yield SyncedBatch(records=batch.records, completed=completed)
            batch.records.clear()  # frees the memory before the next window is awaited
            if completed:
                progress.add_window(window)
                messages = rejected = 0
        progress.ended = run.progress.clock()
        self._warn_about_findings(progress)

    def _read_windows(self, windows: list[Window], until: datetime) -> Generator[Batch, None, None]:
        """Yield the windows' batches. A refused revisit or lookback window does not end the sync.

        Raises `ApiError`, with advice about `start_date` if the vendor refuses the range but serves newer
        messages.
        """
        callbacks = ReadCallbacks(self._run.progress.new_stats, self._check_output)
        accepts_newer, is_reread = False, bool(self._run.account.settings.rereads)
        try:
            for batch in self.source.read(windows, callbacks):
                if batch.refusal is not None:
                    accepts_newer = accepts_newer or self.source.sampler.accepts(until)
                    if not accepts_newer:
                        raise batch.refusal
                    self._logger.warning(
                        "The vendor refused to return %s again for %s (%s). This window may be beyond the "
                        "retention period: shorten revisit_after or lookback",
                        self.source.name,
                        batch.window.describe(),
                        batch.refusal,
                    )
                yield batch
        except ApiError as error:
            if is_reread or not (
                error.is_range_refused and (accepts_newer or self.source.sampler.accepts(until))
            ):
                raise
            raise ApiError(
                f"{error}. The vendor returns newer messages, so this range may be beyond its retention "
                "period. Set start_date to a time within the retention period",
                error.status,
            ) from error

    def _warn_about_start_date(self, bookmark: Bookmark) -> None:
        start_date = self._schedule.start_date
        is_reread = bool(self._run.account.settings.rereads)
        if not is_reread and bookmark.read_from is not None and start_date < bookmark.read_from:
            self._logger.warning(
                "start_date %s has no effect on %s: its state starts at %s. To read older messages, run once "
                "with this start_date, an end_date and a separate state",
                to_text(start_date),
                self.source.name,
                to_text(bookmark.read_from),
            )

    def _warn_about_findings(self, progress: StreamProgress) -> None:
        """Log one warning each for invalid, out-of-range and altered messages."""
        name = self.source.name
        if progress.rejected:
            self._logger.warning(
                "%d messages of %s are invalid; %s", progress.rejected, name, self._run.rejections.location
            )
        if outside := sum(stats.outside for stats in progress.window_stats):
            self._logger.warning(
                "%d messages of %s have send times more than two days outside the requested range",
                outside,
                name,
            )
        if replaced := sum(stats.replaced for stats in progress.window_stats):
            self._logger.warning(
                "%d characters of %s are not valid and were replaced by U+FFFD", replaced, name
            )

    @property
    def _schedule(self) -> Schedule:
        return self._run.account.settings.schedule
