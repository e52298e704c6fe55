"""Finds a boundary in an ordered list of rows with few small pages. A state machine without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

#: Rows of a large page, which finds a boundary that is near the expected one.
LARGE_ROWS = 100
#: Rows by which the search moves at first; each step is twice as long as the previous one.
_FIRST_STEP = 2 * LARGE_ROWS


class RowsMovedError(Exception):
    """Two responses contradict each other: rows were added or removed while they were counted."""


class Target(NamedTuple):
    """The position to look at next."""

    row: int
    is_large: bool  #: a large page around the row; False: the row and the one before it


class BoundarySearch:
    """Finds how many rows of a list precede a boundary. A row that does not exist lies behind it.

    The first page contains the last row before the expected boundary and the row after it, so one page
    suffices if the expectation is right. Then a large page is searched, then ever more distant rows, and
    finally the middle of what remains.
    """

    def __init__(
        self, expected: int, *, floor: int = 0, ceiling: int | None = None, starts_large: bool = False
    ) -> None:
        """Set the expected boundary. At least `floor` rows are known to precede it.

        Positions beyond `ceiling` are not looked at; if at least as many rows precede the boundary, the
        search ends without a result.
        """
        self._expected = max(expected, floor)
        self._ceiling = ceiling
        self.low = self._floor = floor  #: at least this many rows precede the boundary
        self.high: int | None = None  #: at most this many
        self.is_end = False  #: row `high` does not exist
        self._check: int | None = None  # a boundary that a large page suggests
        self._pages = int(starts_large)
        self._large_allowed = True
        self._step = _FIRST_STEP

    @property
    def found(self) -> int | None:
        """The number of rows that precede the boundary; None: not known yet."""
        return self.low if self.low == self.high else None

    @property
    def exceeds_ceiling(self) -> bool:
        """Whether at least `ceiling` rows precede the boundary."""
        return self._ceiling is not None and self.low >= self._ceiling

    def next(self) -> Target:
        """Return the position to look at next."""
        if self._check is not None:
            row, self._check = self._check, None
            return Target(row, is_large=False)
        pages, self._pages = self._pages, self._pages + 1
        if pages < 2:  # noqa: PLR2004
            return Target(self._expected, is_large=pages == 1 and self._large_allowed)
        if self.high is None:
            row = self.low + self._step
            if self._ceiling is not None:
                row = min(row, self._ceiling)
        elif self.low == self._floor and self.high - self._step > self.low:
            row = self.high - self._step
        else:
            is_large = self._large_allowed and self.high - self.low <= LARGE_ROWS // 2
            return Target((self.low + self.high + 1) // 2, is_large)
        self._step *= 2
        return Target(row, is_large=False)

    def observe(self, first: int, precedes: Sequence[bool], *, is_large: bool, is_short: bool) -> None:
        """Record which rows of a page, from position `first` on, precede the boundary.

        A short large page may be capped, and then its rows may not be at the expected positions. It is only a
        hint. Raises `RowsMovedError` if pages contradict each other.
        """
        if any(later and not earlier for earlier, later in pairwise(precedes)):
            raise RowsMovedError
        before, end = first + sum(precedes), first + len(precedes)
        if is_large and is_short and precedes:
            self._large_allowed, self._check = False, before
            return
        if before > first:
            self.low = max(self.low, before)
        if (before < end or is_short) and (self.high is None or before < self.high):
            self.high, self.is_end = before, before == end
        if self.high is not None and self.low > self.high:
            raise RowsMovedError
