"""Checks the ranges of all streams, several at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tap_msghistory import vendors
from tap_msghistory.config.account import Account
from tap_msghistory.errors import ApiError
from tap_msghistory.reading.source import PagedHistorySource
from tap_msghistory.reconciling.counter import Findings, RangeCounter
from tap_msghistory.reconciling.eligibility import future_obstacle, obstacle
from tap_msghistory.reconciling.ranges import CountedRange
from tap_msghistory.reconciling.results import Result, Verdict
from tap_msghistory.reconciling.segments import NotCheckableError
from tap_msghistory.reconciling.workers import run_all
from tap_msghistory.schemas import ACCOUNT
from tap_msghistory.stats import WindowStats
from tap_msghistory.syncing.failures import is_credential_refusal
from tap_msghistory.timestamps import to_text

#: After this many consecutive failures, the other ranges of a stream are not checked.
_MAX_FAILURES = 3
#: The findings about a server can change twice.
_MAX_RECOUNTS = 2


@dataclass(slots=True, eq=False)
class _Stream:
    """The ranges of one stream that can be checked."""

    source: PagedHistorySource
    counter: RangeCounter
    numbers: list[int] = field(default_factory=list)  #: of the ranges
    findings: dict[int, Findings] = field(default_factory=dict)  #: before each range was counted
    failures: int = 0  #: consecutive


class Reconciliation:
    """Compares ranges of a warehouse with the vendor. Results are in the order of the ranges."""

    def __init__(self, account: Account, ranges: Sequence[CountedRange]) -> None:
        """Store the ranges, and decide which of them can be checked; nothing is requested yet."""
        self.requests = 0  #: sent, including retries
        self._ranges = ranges
        self._settings = account.settings
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        enabled = {source.name: source for source in vendors.enabled_sources(account.config)}
        sources = {
            name: source(account)
            for name, source in enabled.items()
            if issubclass(source, PagedHistorySource)
        }
        self._streams = {name: _Stream(source, RangeCounter(source)) for name, source in sources.items()}
        self._results: dict[int, Result] = {}
        for number, range_ in enumerate(ranges):
            reason = obstacle(
                range_, account=account.constants.get(ACCOUNT), enabled=enabled, countable=sources
            )
            if reason is None:
                self._streams[range_.stream].numbers.append(number)
            else:
                self._results[number] = Result(range_, None, reason)

    @property
    def results(self) -> list[Result]:
        """The results so far."""
        return [result for _, result in sorted(self._results.copy().items())]

    def run(self, idle: Callable[[], None], *, seconds: float) -> None:
        """Check all ranges. `idle` is called about every `seconds`.

        The first request of each stream is sent alone, so a wrong key causes one error, which is raised. The
        range with the most messages is counted before the others, because a server that returned all of its
        rows does not cut off shorter lists. Raises `ApiError` if a credential is refused.
        """
        try:
            first = [self._prepare(stream) for stream in self._streams.values() if stream.numbers]
            self._check_all(first, idle, seconds)
            # Ordered by time, so that an interrupted check can be resumed.
            others = sorted(
                (self._ranges[number].end, number)
                for number in range(len(self._ranges))
                if number not in self._results
            )
            self._check_all([number for _, number in others], idle, seconds)
            for _ in range(_MAX_RECOUNTS):
                doubtful = self._in_doubt()
                for number in doubtful:
                    del self._results[number]  # not checked, if the check is interrupted now
                self._check_all(doubtful, idle, seconds)
        finally:
            self._cancelled.set()

    def describe(self) -> str:
        """Return the progress as one line."""
        results = self.results
        different = sum(result.verdict in {Verdict.MISSING, Verdict.GONE} for result in results)
        left = [range_.start for number, range_ in enumerate(self._ranges) if number not in self._results]
        reached = f"; all up to {to_text(min(left))} are checked" if left else ""
        return (
            f"{len(results):,} of {len(self._ranges):,} ranges checked, {different:,} differ, "
            f"{self.requests:,} requests{reached}"
        )

    def _prepare(self, stream: _Stream) -> int:
        """Find out how a server lists messages; return the range with the most messages."""
        first = max(stream.numbers, key=lambda number: self._ranges[number].messages)
        range_, stats = self._ranges[first], WindowStats(self._cancelled)
        try:
            if self._future_obstacle(stream, range_) is None:
                stream.counter.detect_order(range_.start, range_.end, stats)
        except ApiError as error:
            if is_credential_refusal(error):
                raise
            # The check of the range reports any other error.
        finally:
            self._count_requests(stats)
        return first

    def _check_all(self, numbers: Sequence[int], idle: Callable[[], None], seconds: float) -> None:
        run_all(numbers, self._check, self._settings.concurrency, idle=idle, seconds=seconds)

    def _check(self, number: int) -> None:
        range_ = self._ranges[number]
        stream, stats = self._streams[range_.stream], WindowStats(self._cancelled)
        stream.findings[number] = stream.counter.findings
        try:
            self._results[number] = self._compare(stream, range_, stats)
            stream.failures = 0
        except NotCheckableError as error:
            self._results[number] = Result(range_, None, str(error))
        except ApiError as error:
            if is_credential_refusal(error) or self._cancelled.is_set():
                raise
            stream.failures += not error.is_range_refused
            reason = str(error)
            if error.is_range_refused:
                status = error.status
                reason = (
                    f"the vendor refuses this range, perhaps beyond its retention period (status {status})"
                )
            self._results[number] = Result(range_, None, reason)
        finally:
            self._count_requests(stats)

    def _compare(self, stream: _Stream, range_: CountedRange, stats: WindowStats) -> Result:
        reason = self._future_obstacle(stream, range_)
        if reason is None and stream.failures >= _MAX_FAILURES:
            reason = f"not checked, because {_MAX_FAILURES} ranges failed before it"
        if reason is not None:
            raise NotCheckableError(reason)
        return Result(range_, stream.counter.count(range_.start, range_.end, range_.messages, stats))

    def _future_obstacle(self, stream: _Stream, range_: CountedRange) -> str | None:
        return future_obstacle(range_, self._settings.visible_until(stream.source.client.now()))

    def _in_doubt(self) -> list[int]:
        """Return the ranges that were counted before more became known about the server."""
        return [
            number
            for stream in self._streams.values()
            for number, findings in stream.findings.items()
            if findings != stream.counter.findings
        ]

    def _count_requests(self, stats: WindowStats) -> None:
        with self._lock:
            self.requests += stats.requests
