"""How the pages of one window follow each other. State machines without I/O; all of them end.

Each page overlaps the one before: it starts at the last row received or a little earlier. If that row is
no longer where it was, rows have moved while pages were being read, and some may have been missed. A page
that shows nothing behind that row confirms that it is the last one. So the end of a window is never
inferred from the length of a page: servers cap pages by rows or by bytes, and may change the cap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from tap_msghistory.errors import ApiError

#: Pages in a row that bring nothing new although the server says that more is to come.
_MAX_PAGES_WITHOUT_NEWS = 3
#: Times in a row that the end is claimed again hardly any rows further on, as rows arrive like requests.
_MAX_SLOW_CLAIMS = 10
#: A page with no more rows than these is not taken for a capped one.
_SMALLEST_CAP = 8
#: Rows of a page that need only show that nothing follows the last row.
_CONFIRMATION_ROWS = 2


class PageSlice(NamedTuple):
    """The rows that one request covers."""

    start: int  #: as the API counts: rows to skip, or the number of the page
    limit: int  #: rows
    first: int  #: the position of the first row in the window


class Paginator:
    """The pages of one window, each starting no later than the last row received."""

    #: Whether a server may count the rows to skip by its own cap instead of the limit asked for.
    counts_by_cap: ClassVar[bool] = False

    def __init__(self, expected_rows: int | None = None) -> None:
        """`expected_rows` are those that the server has counted: if they are there, no more are asked for."""
        self._expected_rows = expected_rows
        self.finished = False
        self.moved = False  #: rows have moved since they were received
        self.repeats = False  #: finished because pages brought only rows received before
        self.rows = 0  #: positions received
        self._last: Any = None  # identity of the row at the last of them
        self._cap: int | None = None
        self._end_claimed = False  # by the server or a short page; to be confirmed
        self._claim_refuted = False
        self._claimed_at = 0
        self._slow_claims = 0
        self._overlaps = True
        self._pages_without_news = 0

    def next(self, limit: int) -> PageSlice:
        """Return the next page, of at most `limit` rows."""
        raise NotImplementedError

    def confirmation(self, rows: int) -> PageSlice:
        """Return a small page with the last of `rows` rows and the position behind it."""
        raise NotImplementedError

    def advance(self, page: PageSlice, identities: Sequence[Any], *, has_next: bool | None, new: int) -> None:
        """Take note of a page's rows, of which `new` had not been received before.

        `has_next` is what the server says; None if it says nothing. Raises `ApiError` if it says that more
        rows follow but sends none.
        """
        count, before = len(identities), self.rows
        is_short, was_confirmation = count < page.limit, self._end_claimed
        behind = self._behind_last_row(page, identities)
        if self.counts_by_cap and is_short and count and self._starts_early(page, behind, new):
            # Pages are capped now, and counted by the cap.
            self._cap, self._claim_refuted, self._end_claimed = count, True, False
            self._take(page, identities, count if behind is None else behind)
            return
        self._end_claimed = False
        self._take(page, identities, behind)
        brought = self.rows - before
        if was_confirmation:
            self._claim_refuted |= brought > 0
        elif is_short and count:
            self._cap = count
        if not has_next and (is_short or has_next is False):
            may_be_capped = before - page.first >= _SMALLEST_CAP
            self._end(page, brought, said_last=has_next is False and is_short, may_be_capped=may_be_capped)
        self._overlaps = brought > 0
        if not self.finished:
            self._require_news(count, brought, new, has_next=has_next)

    def _behind_last_row(self, page: PageSlice, identities: Sequence[Any]) -> int | None:
        """Return the index behind the last row received before; None if that row is not where it was."""
        overlap = self.rows - page.first
        if not overlap or (len(identities) >= overlap and identities[overlap - 1] == self._last):
            return overlap
        if self.counts_by_cap and len(identities) < page.limit and self._last in identities:
            return len(identities) - [*reversed(identities)].index(self._last)
        return None

    def _starts_early(self, page: PageSlice, behind: int | None, new: int) -> bool:
        """Return whether a page starts further ahead than asked for, without a row having moved."""
        return behind != self.rows - page.first and (behind is not None or not new)

    def _take(self, page: PageSlice, identities: Sequence[Any], behind: int | None) -> None:
        count = len(identities)
        if behind is None:
            self.moved = True
            self.rows = max(self.rows, page.first + count)
        else:
            self.rows += count - behind
        if count > (behind or 0):
            self._last = identities[-1]

    def _end(self, page: PageSlice, brought: int, *, said_last: bool, may_be_capped: bool) -> None:
        """Finish if nothing can follow, else have the end confirmed.

        A page that ends with the last row known may also be capped just there.
        """
        is_only_page = page.first == 0 and brought == self.rows
        grew_slowly = self.rows - self._claimed_at <= _CONFIRMATION_ROWS
        self._slow_claims = self._slow_claims + 1 if grew_slowly else 0
        self._claimed_at = self.rows
        if self._slow_claims == _MAX_SLOW_CLAIMS:
            self.moved = True
        is_as_counted = self.rows == self._expected_rows
        shows_end = not brought and not may_be_capped
        if may_be_capped and not brought:
            self._claim_refuted = False
        if shows_end or self.moved or is_as_counted or (is_only_page and said_last):
            self.finished = True
        else:
            self._end_claimed = True

    def _require_news(self, count: int, brought: int, new: int, *, has_next: bool | None) -> None:
        if has_next and not count:
            raise ApiError("the server promises more messages but sends an empty page")
        self._pages_without_news = 0 if brought and new else self._pages_without_news + 1
        if self._pages_without_news == _MAX_PAGES_WITHOUT_NEWS:
            # The server repeats itself, or rows arrive in front with every request: another pass will tell.
            self.finished = self.repeats = self.moved = True


class OffsetPaginator(Paginator):
    """`start` is the number of rows to skip (edna)."""

    def next(self, limit: int) -> PageSlice:
        """Start at the last row received."""
        if self._end_claimed:
            return self.confirmation(self.rows)
        overlaps = self.rows > 0 and limit > 1 and self._overlaps
        first = self.rows - 1 if overlaps else self.rows
        return PageSlice(first, limit, first)

    def confirmation(self, rows: int) -> PageSlice:
        """Skip all rows but the last."""
        first = max(rows - 1, 0)
        return PageSlice(first, _CONFIRMATION_ROWS, first)


class PageNumberPaginator(Paginator):
    """`start` is the number of a page of `limit` rows (the partner gateway).

    Pages overlap because their limits differ. A limit is never more than the server has shown to send, so
    that pages are the same whether it counts rows to skip by the limit asked for or by its cap.
    """

    counts_by_cap = True

    def next(self, limit: int) -> PageSlice:
        """Return the page with the last row received and the most rows behind it."""
        limit = min(limit, self._cap or limit)
        if self._end_claimed and not self._claim_refuted:
            asked = self.confirmation(self.rows)
            is_capped = self._cap is not None and asked.limit > self._cap
            return self._page_of(self.rows, 1) if is_capped else asked
        size = _furthest(self.rows - 1, limit) if self.rows and self._overlaps else None
        if size is not None:
            return self._page_of(self.rows - 1, size)
        return self._page_of(self.rows, _furthest(self.rows, limit) or 1)

    def confirmation(self, rows: int) -> PageSlice:
        """Choose the smallest page that no page's end divides there."""
        size = next(size for size in range(_CONFIRMATION_ROWS, rows + 3) if rows % size or not rows)
        return self._page_of(max(rows - 1, 0), size)

    @staticmethod
    def _page_of(row: int, size: int) -> PageSlice:
        return PageSlice(row // size, size, row // size * size)


def _furthest(row: int, limit: int) -> int | None:
    """Return the size, up to `limit`, of the page with `row` and most rows behind it, if any has."""
    best, most = None, 0
    for size in range(limit, 1, -1):
        if size - 1 <= most:
            break
        behind = size - 1 - row % size
        if behind > most:
            best, most = size, behind
    return best
