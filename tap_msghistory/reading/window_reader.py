"""Reads one window of one series: page after page, until the vendor has confirmed that it is whole."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tap_msghistory.errors import ApiError
from tap_msghistory.http.client import Client
from tap_msghistory.planning.windows import Order, Reason, Size, Window
from tap_msghistory.reading.endpoint import HistoryApi, Request
from tap_msghistory.reading.page_decoder import DecodedPage, PageDecoder
from tap_msghistory.reading.paginators import Paginator
from tap_msghistory.reading.window_rows import Batch, Identities, Layout, WindowRows
from tap_msghistory.stats import Effort
from tap_msghistory.timestamps import MILLISECOND, from_text, to_text

logger = logging.getLogger("tap-msghistory.reader")

#: About as many messages as a window may hold.
CAPACITY = 10_000
#: The row that a probe asks for. A little below, as pages overlap and bounds are shared.
_PROBE_MARGIN = 100
_PROBED_ROW = CAPACITY - _PROBE_MARGIN
#: Rows further behind, twice as far each time, that are probed where one shows no use for a cut.
_MAX_PROBES = 12
#: A window thought to fit that holds more rows is as full as the one that it was cut from.
_INSEPARABLE = 2 * CAPACITY
#: Bytes of a page: where messages are large, fewer are asked for in one request.
_PAGE_BYTES = 4_000_000
_MIN_PAGE_ROWS = 10
#: Times that a window is read while its rows keep moving.
_READINGS = 3


class TooManyError(Exception):
    """A window turned out to hold too many messages; these take its place."""

    def __init__(self, parts: list[Window]) -> None:
        super().__init__("the window is split")
        self.parts = parts


@dataclass(slots=True)
class ServerLimits:
    """What the responses of one series have shown of its server. Shared by all windows that are read."""

    capacity: int | None = None  #: the most rows that any query gives; None: no such limit is known
    shown_rows: int = 0  #: rows that one query is known to give
    order: Order | None = None
    row_bytes: float = 0.0
    inseparable_rows: int = 0  #: the most rows that no cut has separated

    @property
    def probed_row(self) -> int:
        """The row at which a window is full."""
        row = max(_PROBED_ROW, 2 * self.inseparable_rows)
        if self.capacity is None:
            return row
        return max(min(row, self.capacity - _PROBE_MARGIN), self.capacity // 2, 1)

    def note_page(self, page: DecodedPage) -> None:
        """Learn how large rows are."""
        if page.items:
            self.row_bytes = page.size / len(page.items)

    def page_rows(self, wanted: int) -> int:
        """Return how many rows to ask for in one request."""
        if self.row_bytes * wanted <= _PAGE_BYTES:
            return wanted
        return min(wanted, max(int(_PAGE_BYTES / self.row_bytes), _MIN_PAGE_ROWS))


@dataclass(slots=True)
class WindowContents:
    """A window that was read, or whose reading was refused."""

    window: Window
    effort: Effort
    rows: WindowRows | None
    refusal: ApiError | None = None

    def batches(self) -> Iterator[Batch]:
        """Yield the window's messages in send order."""
        if self.rows is None:
            yield Batch(self.window, self.effort, refusal=self.refusal)
        else:
            yield from self.rows.batches(self.window, self.effort)


@dataclass(slots=True)
class _Reading:
    """One pass over the pages of a window."""

    rows: WindowRows
    positions: int  #: rows that the server lists, by its own count
    moved: bool
    repeats: bool  #: the pass ended because pages brought nothing new
    is_short_page: bool  #: all rows came with one page that was not full

    @property
    def is_consistent(self) -> bool:
        """Whether the rows received are exactly those that the server listed."""
        return not self.moved and len(self.rows) == self.positions

    def agrees_with(self, other: _Reading) -> bool:
        """Return whether two passes saw the same messages, some of which a server may list twice."""
        return (
            not (self.moved or other.moved)
            and self.positions == other.positions
            and self.rows.hashes() == other.rows.hashes()
        )


class WindowReader:
    """Reads one window of one series whole, or splits it. Used by several threads at once."""

    def __init__(
        self,
        *,
        api: HistoryApi,
        client: Client,
        decoder: PageDecoder,
        layout: Layout,
        page_size: int,
        paginator: Callable[[int | None], Paginator],
    ) -> None:
        """`paginator` makes one for each pass over a window, from the rows that the server has counted."""
        self._api = api
        self._client = client
        self._decoder = decoder
        self._layout = layout
        self._page_size = page_size
        self._paginator = paginator
        self._limits = ServerLimits(order=api.probe_order)

    def read(self, window: Window, fits: Callable[[], None], effort: Effort) -> WindowContents:
        """Return the window's messages; `fits` is called once it is known that they are not too many.

        Raises `TooManyError` with the windows to read instead, and `ApiError`; but a window that is read
        again and that the vendor refuses is returned as refused.
        """
        try:
            return self._read(window, fits, effort)
        except ApiError as error:
            if not error.is_refusal or window.reason is Reason.NEW:
                raise
            effort.confirmed = False
            return WindowContents(window, effort, None, error)

    def estimate(self, window: Window, effort: Effort) -> float:
        """Return about how many messages a window holds, from one or two small requests."""
        for index in (_PROBED_ROW, _PROBED_ROW // 10):
            page = self._send(self._api.probe_request(window, index), effort)
            if times := [*map(self._layout.sent_at, page.records)]:
                order = self._limits.order or _order(page, times[-1], self._layout) or Order.OLDEST_FIRST
                share = window.share(from_text(times[0]), order)
                return index / share if share else index
        return index / 5  # fewer, or none

    def newest(self, window: Window, rows: int, effort: Effort) -> tuple[list[str], bool]:
        """Return the send times of one small page, the newest messages if the vendor can sort by them.

        Also returns whether these are all messages of the window.
        """
        page = self._send(self._api.newest_request(window, min(rows, self._page_size)), effort)
        return [*map(self._layout.sent_at, page.records)], len(page.items) < min(rows, self._page_size)

    def sample(self, window: Window, rows: int, effort: Effort) -> DecodedPage:
        """Return one small page of a window."""
        return self._send(self._api.page_request(window, 0, min(rows, self._page_size)), effort)

    def _read(self, window: Window, fits: Callable[[], None], effort: Effort) -> WindowContents:
        if window.size is Size.LARGE:
            self._probe(window, None, effort)
            window = replace(window, size=Size.FITS)
        if window.size is Size.FITS or not window.splittable:
            fits()
        readings: list[_Reading] = []
        while len(readings) < _READINGS:
            reading = self._read_once(window, fits, effort)
            window = replace(window, size=Size.FITS)
            if reading.repeats and readings and reading.rows.hashes() <= readings[-1].rows.hashes():
                raise ApiError("the server sends the same messages again and again")
            if reading.is_consistent or (readings and reading.agrees_with(readings[-1])):
                effort.confirmed = self._is_whole(window, reading, effort)
                return WindowContents(window, effort, reading.rows)
            readings.append(reading)
        logger.warning(
            "Rows kept moving while the window %s was read %d times; it has every message that was seen, "
            "but the vendor has not confirmed that these are all",
            window.describe(),
            _READINGS,
        )
        effort.confirmed = False
        *earlier, last = (reading.rows for reading in readings)
        for rows in reversed(earlier):
            last.absorb(rows)
        return WindowContents(window, effort, last)

    def _read_once(self, window: Window, fits: Callable[[], None], effort: Effort) -> _Reading:
        """Read page after page. Raises `TooManyError` where a window of unknown size turns out too full."""
        is_sized = window.size is Size.FITS or not window.splittable
        pages, rows, short_page = self._paginator(window.rows), WindowRows(self._layout), 0
        while not pages.finished:
            asked = pages.next(self._limits.page_rows(self._page_size))
            page = self._send(self._api.page_request(window, asked.start, asked.limit), effort)
            effort.pages += 1
            self._limits.note_page(page)
            new = rows.add(page.items, page.size)
            effort.replaced += page.replaced if new else 0
            identities = Identities(page.items, self._layout)
            pages.advance(asked, identities, has_next=page.has_next, new=new)
            if asked.first == 0 and len(page.items) < asked.limit:
                short_page = len(page.items)
            if not (is_sized or pages.finished) and (page.has_next or len(page.items) >= asked.limit):
                self._probe(window, page, effort)
                is_sized = True
                fits()
        if window.size is Size.FITS and pages.rows >= _INSEPARABLE:
            self._limits.inseparable_rows = max(self._limits.inseparable_rows, pages.rows)
        is_short_page = short_page >= pages.rows
        return _Reading(rows, pages.rows, pages.moved, pages.repeats, is_short_page=is_short_page)

    def _probe(self, window: Window, first_page: DecodedPage | None, effort: Effort) -> None:
        """Return if the window is to be read whole. Raises `TooManyError` with a cut where it is full.

        A row that no cut separates from those before it (they were sent at the same time, or the vendor
        selects less precisely than to the millisecond) leads to rows further behind.
        """
        limits, index, is_first = self._limits, self._limits.probed_row, True
        if limits.order is None and first_page is None:
            first_page = self._send(self._api.probe_request(window, 0), effort)
        for _ in range(_MAX_PROBES):
            at = self._time_of_row(window, index, effort)
            if at is None:
                return
            limits.order = limits.order or _order(first_page, at, self._layout)
            separates = limits.order is not None and window.separates(from_text(at), limits.order)
            if limits.order and separates and (is_first or limits.capacity):
                raise TooManyError(window.split(from_text(at), limits.order, index))
            if limits.capacity and window.splittable:
                raise TooManyError(window.parts(2))
            # As many rows as lie before a cut that separates nothing are to lie behind it.
            is_first = separates
            index *= 2

    def _time_of_row(self, window: Window, index: int, effort: Effort) -> str | None:
        """Return the send time of about the `index`-th row; None if there is no such row."""
        page = self._send(self._api.probe_request(window, index), effort)
        if not page.items:
            return None
        self._limits.shown_rows = max(self._limits.shown_rows, index)
        return next(map(self._layout.sent_at, page.records), to_text(window.start))

    def _is_whole(self, window: Window, reading: _Reading, effort: Effort) -> bool:
        """Return whether no limit has cut off rows. Raises `TooManyError` if smaller windows show more."""
        limits, rows = self._limits, reading.positions
        if limits.capacity is not None and rows >= limits.capacity:
            if window.splittable:
                self._probe(window, None, effort)
                raise TooManyError(window.parts(2))
            logger.warning(
                "The vendor shows only %d messages of the window %s, which cannot be divided further: "
                "the others are missing",
                rows,
                window.describe(),
            )
            return False
        is_known = reading.is_short_page or rows in (window.rows, 1) or rows <= limits.shown_rows
        if window.splittable and not is_known:
            self._compare_with_halves(window, reading, effort)
        limits.shown_rows = max(limits.shown_rows, rows)
        return True

    def _compare_with_halves(self, window: Window, reading: _Reading, effort: Effort) -> None:
        """Ask for the counts of two halves. Raises `TooManyError` if these are not those that were received.

        If a half has more, the server gives no more rows for any query than it gave for the whole.
        """
        times = reading.rows.send_times()
        if not times or not _lie_within(times, window):
            return  # counts by send time would say nothing
        place, middle = _cut_near_middle(times)
        if not window.start < middle < window.end:
            return
        halves = [replace(window, end=middle, rows=None), replace(window, start=middle, rows=None)]
        differences = [
            self._count_beyond(half, count, effort)
            for half, count in zip(halves, (place, len(times) - place), strict=True)
        ]
        if min(differences) > 0 and self._count_beyond(halves[0], reading.positions, effort) == 0:
            return  # a half is as full as the whole: the vendor does not select that precisely
        if any(differences):
            if max(differences) > 0 and min(differences) == 0:
                self._limits.capacity = reading.positions
                logger.warning(
                    "The vendor shows at most %d messages for a query; windows are cut to fewer",
                    reading.positions,
                )
            raise TooManyError([replace(half, size=Size.UNKNOWN) for half in halves])

    def _count_beyond(self, window: Window, rows: int, effort: Effort) -> int:
        """Return 0 if a window has exactly `rows`, 1 if it has more, -1 if fewer."""
        asked = self._paginator(None).confirmation(rows)
        page = self._send(self._api.page_request(window, asked.start, asked.limit), effort)
        beyond = asked.first + len(page.items) - rows
        return (beyond > 0) - (beyond < 0)

    def _send(self, request: Request, effort: Effort) -> DecodedPage:
        return self._client.send(request, self._decoder, effort)


def _order(first_page: DecodedPage | None, later: str, layout: Layout) -> Order | None:
    """Compare a send time with that of the first row; None if they do not differ."""
    first = next(map(layout.sent_at, first_page.records), later) if first_page else later
    if first == later:
        return None
    return Order.OLDEST_FIRST if first < later else Order.NEWEST_FIRST


def _lie_within(times: Sequence[str], window: Window) -> bool:
    return to_text(window.start - MILLISECOND) <= times[0] and times[-1] <= to_text(window.end)


def _cut_near_middle(times: Sequence[str]) -> tuple[int, datetime]:
    """Return how many of the times in order lie before a cut, and the cut.

    It is clear of all times, although requests start a millisecond early. Where many messages share a time
    it may lie before the first.
    """
    middle = len(times) // 2
    for place in sorted(range(1, len(times)), key=lambda place: abs(place - middle)):
        earlier = from_text(times[place - 1])
        if from_text(times[place]) - earlier >= 3 * MILLISECOND:
            return place, earlier + 2 * MILLISECOND
    return 0, from_text(times[0]) - 2 * MILLISECOND
