"""Results of the comparison, one per range, and what they mean together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, IntEnum

from tap_msghistory.planning.rereads import RereadRange
from tap_msghistory.planning.windows import merged
from tap_msghistory.reconciling.ranges import CountedRange


class Verdict(str, Enum):
    """The result of comparing one range."""

    OK = "ok"
    MISSING = "missing in warehouse"
    GONE = "gone at vendor"
    NOT_CHECKABLE = "not checkable"


class ExitCode(IntEnum):
    """The exit code of a check."""

    EQUAL = 0
    UNCHECKED = 1  #: nothing differs, but some ranges could not be checked
    DIFFERENT = 3


@dataclass(frozen=True, slots=True)
class Result:
    """The numbers of messages in a range."""

    range: CountedRange
    vendor: int | None  #: None: not checkable
    reason: str | None = None  #: why the range is not checkable

    @property
    def difference(self) -> int | None:
        """The warehouse's messages minus the vendor's."""
        return None if self.vendor is None else self.range.messages - self.vendor

    @property
    def verdict(self) -> Verdict:
        """Whether and in which direction the numbers differ."""
        if self.difference is None:
            return Verdict.NOT_CHECKABLE
        if self.difference == 0:
            return Verdict.OK
        return Verdict.MISSING if self.difference < 0 else Verdict.GONE


def exit_code(results: Sequence[Result]) -> ExitCode:
    """Return the exit code. A difference takes precedence over ranges that could not be checked."""
    verdicts = {result.verdict for result in results}
    if verdicts & {Verdict.MISSING, Verdict.GONE}:
        return ExitCode.DIFFERENT
    return ExitCode.UNCHECKED if Verdict.NOT_CHECKABLE in verdicts else ExitCode.EQUAL


def rereads(results: Sequence[Result]) -> list[RereadRange]:
    """Return the ranges to read again because messages are missing; adjacent ones are joined."""
    missing: dict[str, list[tuple[datetime, datetime]]] = {}
    for result in results:
        if result.verdict is Verdict.MISSING:
            missing.setdefault(result.range.stream, []).append((result.range.start, result.range.end))
    return [
        RereadRange(stream, start, end)
        for stream in sorted(missing)
        for start, end in merged(missing[stream])
    ]


def totals(results: Sequence[Result], requests: int) -> str:
    """Return the totals as one line."""
    found = Counter(result.verdict for result in results)
    messages: Counter[Verdict] = Counter()
    for result in results:
        messages[result.verdict] += abs(result.difference or 0)
    return (
        f"{len(results):,} ranges: {found[Verdict.OK]:,} ok, "
        f"{found[Verdict.MISSING]:,} with {messages[Verdict.MISSING]:,} messages missing in the warehouse, "
        f"{found[Verdict.GONE]:,} with {messages[Verdict.GONE]:,} messages gone at the vendor, "
        f"{found[Verdict.NOT_CHECKABLE]:,} not checkable; {requests:,} requests"
    )
