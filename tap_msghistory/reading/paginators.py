"""Determines which page of a window to request next. State machines without I/O that always terminate.

Each page overlaps the previous one: it starts at the last row received or slightly before. If that row is no
longer at its position, rows have moved while pages were read, and some may have been missed. If the page
contains nothing after that row, it is the last page. A server that caps pages by bytes may have cut off a
large next row; in this case the position after the last row is requested alone. The end of a window is never
inferred from the length of a page, because servers cap pages by rows or by bytes, and may change the cap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from tap_msghistory.errors import ApiError

#: Maximum number of consecutive pages without new rows.
_MAX_PAGES_WITHOUT_NEW_ROWS = 3
#: Maximum number of consecutive pages that seem to be the last, with few new rows between them.
_MAX_SLOW_ENDS = 10
#: A page with fewer known rows than this is not regarded as capped.
_SMALLEST_CAP = 8
#: Limit of a page that only confirms that nothing follows the last row.
_CONFIRMATION_ROWS = 2


class PageSlice(NamedTuple):
    """The rows that one request covers."""

    start: int  #: rows to skip, or the page number, depending on the endpoint
    limit: int  #: rows
    first: int  #: the position of the first row in the window


class _End(NamedTuple):
    """A page that seems to be the last one."""

    is_marked_last: bool  #: the response indicates no more rows, and the page is short
    may_be_capped: bool  #: by a limit of rows, at exactly the last known row
    may_be_cut: bool  #: by a limit of bytes
    was_alone: bool  #: the page contained only the position after the last known row


class Paginator:
    """Chooses the pages of one window. Pages start at or before the last row received if they can overlap."""

    #: Whether a server may compute the offset of a page from its own cap instead of the requested limit.
    counts_by_cap: ClassVar[bool] = False

    def __init__(self, expected_rows: int | None = None) -> None:
        """Set the expected number of rows, if known.

        A last page that reaches exactly this number needs no confirmation.
        """
        self._expected_rows = expected_rows
        self.finished = False
        self.moved = False  #: rows have moved since they were received
        self.repeats = False  #: finished because pages contained only rows received before
        self.positions = 0  #: number of positions received
        self._last: Any = None  # identity of the last row received
        self._cap: int | None = None
        self._check_alone = False  # next, request only the position after the last row
        self._needs_confirmation = False  # the previous page seemed to be the last
        self._end_was_refuted = False  # rows followed a page that seemed to be the last
        self._positions_at_end = 0
        self._slow_ends = 0
        self._overlaps = True
        self._pages_without_new_rows = 0

    def next(self, limit: int) -> PageSlice:
        """Return the next page, of at most `limit` rows."""
        if self._check_alone:
            return PageSlice(self.positions, 1, self.positions)
        return self._next(limit)

    def _next(self, limit: int) -> PageSlice:
        raise NotImplementedError

    def confirmation(self, rows: int) -> PageSlice:
        """Return a small page with the last of `rows` rows and the position after it."""
        raise NotImplementedError

    def page_around(self, row: int, size: int) -> PageSlice:
        """Return a page of about `size` rows with a row near its middle."""
        raise NotImplementedError

    def advance(
        self,
        page: PageSlice,
        identities: Sequence[Any],
        *,
        has_next: bool | None,
        new: int,
        may_be_cut: bool = False,
    ) -> None:
        """Record the rows of a page, `new` of which had not been received before.

        `has_next` is whether the response indicates more rows; None: unknown. `may_be_cut` is whether a limit
        of bytes may have cut off rows at the end of the page. Raises `ApiError` if the response indicates
        more rows but the page is empty.
        """
        count, before = len(identities), self.positions
        was_alone, self._check_alone = self._check_alone, False
        is_short, was_confirmation = count < page.limit, self._needs_confirmation or was_alone
        after = self._index_after_last_row(page, identities)
        if self.counts_by_cap and is_short and count and self._starts_early(page, after, new):
            # The server has started to cap pages, and computes their offsets from the cap.
            self._cap, self._end_was_refuted, self._needs_confirmation = count, True, False
            self._take(page, identities, count if after is None else after)
            return
        self._needs_confirmation = False
        self._take(page, identities, after)
        added = self.positions - before
        if was_confirmation:
            self._end_was_refuted |= added > 0
        elif is_short and count:
            self._cap = count
        if not has_next and (is_short or has_next is False):
            end = _End(
                is_marked_last=has_next is False and is_short,
                may_be_capped=before - page.first >= _SMALLEST_CAP,
                may_be_cut=may_be_cut,
                was_alone=was_alone,
            )
            self._end(page, added, end)
        self._overlaps = added > 0
        if was_alone and added:
            # Pages are cut by bytes: the last two rows do not fit into one page.
            self._slow_ends, self._overlaps, self._cap = 0, False, None
        if not self.finished:
            self._require_new_rows(count, added, new, has_next=has_next)

    def _index_after_last_row(self, page: PageSlice, identities: Sequence[Any]) -> int | None:
        """Return the index after the last row received before; None if that row has moved."""
        overlap = self.positions - page.first
        if not overlap or (len(identities) >= overlap and identities[overlap - 1] == self._last):
            return overlap
        if self.counts_by_cap and len(identities) < page.limit and self._last in identities:
            return len(identities) - [*reversed(identities)].index(self._last)
        return None

    def _starts_early(self, page: PageSlice, after: int | None, new: int) -> bool:
        """Return whether a page starts earlier than requested although no row has moved."""
        return after != self.positions - page.first and (after is not None or not new)

    def _take(self, page: PageSlice, identities: Sequence[Any], after: int | None) -> None:
        count = len(identities)
        if after is None:
            self.moved = True
            self.positions = max(self.positions, page.first + count)
        else:
            self.positions += count - after
        if count > (after or 0):
            self._last = identities[-1]

    def _end(self, page: PageSlice, added: int, end: _End) -> None:
        """Finish if nothing can follow, otherwise request a confirmation.

        A page that ends with the last known row may be capped at exactly that row.
        """
        is_only_page = page.first == 0 and added == self.positions
        grew_slowly = self.positions - self._positions_at_end <= _CONFIRMATION_ROWS
        self._slow_ends = self._slow_ends + 1 if grew_slowly else 0
        self._positions_at_end = self.positions
        if self._slow_ends == _MAX_SLOW_ENDS:
            self.moved = True
        is_as_counted = self.positions == self._expected_rows
        shows_end = not added and not end.may_be_capped
        if end.may_be_capped and not added:
            self._end_was_refuted = False
        if self.moved or is_as_counted or (is_only_page and end.is_marked_last and not end.may_be_cut):
            self.finished = True
        elif not shows_end:
            self._needs_confirmation = True
        elif end.was_alone or not end.may_be_cut:
            self.finished = True
        else:
            self._check_alone = True

    def _require_new_rows(self, count: int, added: int, new: int, *, has_next: bool | None) -> None:
        if has_next and not count:
            raise ApiError("the server indicated that more messages follow, but returned an empty page")
        self._pages_without_new_rows = 0 if added and new else self._pages_without_new_rows + 1
        if self._pages_without_new_rows == _MAX_PAGES_WITHOUT_NEW_ROWS:
            # Either the server repeats pages, or rows are inserted with every request. Another pass
            # distinguishes these cases.
            self.finished = self.repeats = self.moved = True


class OffsetPaginator(Paginator):
    """`start` is the number of rows to skip (edna)."""

    def _next(self, limit: int) -> PageSlice:
        """Return a page that starts at the last row received, or after it if pages cannot overlap."""
        if self._needs_confirmation:
            return self.confirmation(self.positions)
        overlaps = self.positions > 0 and limit > 1 and self._overlaps
        first = self.positions - 1 if overlaps else self.positions
        return PageSlice(first, limit, first)

    def confirmation(self, rows: int) -> PageSlice:
        """Return a page that skips all rows but the last."""
        first = max(rows - 1, 0)
        return PageSlice(first, _CONFIRMATION_ROWS, first)

    def page_around(self, row: int, size: int) -> PageSlice:
        """Return a page of `size` rows with a row in the middle."""
        first = max(row - size // 2, 0)
        return PageSlice(first, size, first)


class PageNumberPaginator(Paginator):
    """`start` is the number of a page of `limit` rows (the partner gateway).

    Pages overlap because their limits differ. A limit never exceeds the number of rows that the server is
    known to return, so pages are the same whether it computes offsets from the limit or from its cap.
    """

    counts_by_cap = True

    def _next(self, limit: int) -> PageSlice:
        """Return the page with the last row received and the most rows after it."""
        limit = min(limit, self._cap or limit)
        if self._needs_confirmation and not self._end_was_refuted:
            requested = self.confirmation(self.positions)
            is_capped = self._cap is not None and requested.limit > self._cap
            return self._page_of(self.positions, 1) if is_capped else requested
        size = _furthest(self.positions - 1, limit) if self.positions and self._overlaps else None
        if size is not None:
            return self._page_of(self.positions - 1, size)
        return self._page_of(self.positions, _furthest(self.positions, limit) or 1)

    def confirmation(self, rows: int) -> PageSlice:
        """Return the smallest page that contains both the last row and the position after it."""
        size = next(size for size in range(_CONFIRMATION_ROWS, rows + 3) if rows % size or not rows)
        return self._page_of(max(rows - 1, 0), size)

    def page_around(self, row: int, size: int) -> PageSlice:
        """Return the page of at most `size` rows whose middle is nearest to a row."""
        sizes = range(size, size // 2, -1)
        return self._page_of(row, min(sizes, key=lambda size: abs(row % size - size // 2)))

    @staticmethod
    def _page_of(row: int, size: int) -> PageSlice:
        return PageSlice(row // size, size, row // size * size)


def _furthest(row: int, limit: int) -> int | None:
    """Return the size, at most `limit`, of the page with `row` and the most rows after it, if any."""
    best, most_after = None, 0
    for size in range(limit, 1, -1):
        if size - 1 <= most_after:
            break
        after = size - 1 - row % size
        if after > most_after:
            best, most_after = size, after
    return best
