"""How one window's pages follow each other. State machines: no I/O, and none can run for ever.

A page is asked for with two numbers, `start` and `limit`. After each answer, `advance` is told how many
rows came, whether the server promises more, and how many of the rows had not been seen in this window.
"""

from __future__ import annotations

from tap_msghistory.errors import ApiError

_TOO_MANY_WITHOUT_NEWS = 3  # pages in a row


class OffsetPaginator:
    """`start` is the number of rows to skip; the server says when the last page is reached (edna).

    It moves on by the rows received, never by the limit asked for: a server may cap its pages.
    """

    def __init__(self, limit: int) -> None:
        """Start before the first row."""
        self.start = 0
        self.limit = limit
        self.finished = False
        self._progress = _Progress()

    def advance(self, rows: int, new_rows: int, *, has_next: bool | None) -> None:
        """Move behind a page. Raises `ApiError` where the server promises more but sends nothing new."""
        if not has_next:
            self.finished = True
            return
        self._progress.require(rows, new_rows)
        self.start += rows


class LongestPage:
    """The most rows that a server has sent in one page so far: its cap is not below that."""

    def __init__(self) -> None:
        """Know nothing."""
        self.rows = 0


class PageNumberPaginator:
    """`start` is a page's number; a page shorter than the limit is the last (the partner gateway).

    Unless the server silently caps its pages: then every page is short. So a short page ends a window
    only if the server has already shown a longer one. Otherwise the rows received are taken for its cap,
    and the next page is asked for with that limit, which names the same rows whether the server counts
    pages by the limit asked for or by its cap. An empty page then shows that the short one was the last.
    """

    def __init__(self, limit: int, longest: LongestPage) -> None:
        """Start before the first row; `longest` is shared by all windows that read from one server."""
        self.start = 0
        self.limit = limit
        self.finished = False
        self._longest = longest
        self._progress = _Progress()

    def advance(self, rows: int, new_rows: int, *, has_next: bool | None) -> None:  # noqa: ARG002
        """Move behind a page. Raises `ApiError` where the server repeats itself."""
        if rows < min(self.limit, self._longest.rows) or not rows:
            self.finished = True
            return
        self._progress.require(rows, new_rows)
        self._longest.rows = max(self._longest.rows, rows)
        self.limit = min(self.limit, rows)
        self.start += 1


class _Progress:
    """Sees to it that a server which sends nothing new is not asked for ever."""

    def __init__(self) -> None:
        self._pages_without_news = 0

    def require(self, rows: int, new_rows: int) -> None:
        """Take note of a page with more to come. Raises `ApiError`."""
        if not rows:
            raise ApiError("the server promises more messages but sends an empty page")
        # One page may hold only what was seen: messages that arrive meanwhile move the others along.
        self._pages_without_news = 0 if new_rows else self._pages_without_news + 1
        if self._pages_without_news == _TOO_MANY_WITHOUT_NEWS:
            raise ApiError("the server sends the same messages again and again")
