"""Reads one window of one series: page after page, held, ordered, each message once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from operator import eq
from typing import Any, Protocol

import msgspec

from tap_msghistory.apis.base import HistoryApi
from tap_msghistory.client import Client
from tap_msghistory.decoding import PageDecoder, id_of
from tap_msghistory.effort import Effort
from tap_msghistory.errors import ApiError
from tap_msghistory.records import Rejected
from tap_msghistory.timestamps import from_text
from tap_msghistory.windows import Order, Size, Window

#: About as many messages as a window may hold: it is held and ordered in memory.
CAPACITY = 10_000
#: The row that a probe asks for. A little below, so that rows that share a bound open no further page.
_PROBED_ROW = CAPACITY - 20
#: A window that holds more is split although it was thought to fit; so offsets stay below.
_TOO_MANY = 2 * CAPACITY


class Paginator(Protocol):
    """How the pages of one window follow each other."""

    start: int
    limit: int
    finished: bool

    def advance(self, rows: int, new_rows: int, *, has_next: bool | None) -> None:
        """Move behind a page of `rows`, `new_rows` of which had not been seen in this window."""


@dataclass(slots=True)
class Batch:
    """A window's records, in send order, each message once, in its latest version."""

    window: Window
    effort: Effort
    records: list[Any] = field(default_factory=list)  #: Structs with the schema's columns
    rejected: list[Rejected] = field(default_factory=list)
    ends_window: bool = True  #: False: another batch of the same window follows


class TooManyError(Exception):
    """A window turned out to hold too many messages; these take its place."""

    def __init__(self, parts: list[Window]) -> None:
        """Keep the parts."""
        super().__init__("the window is split")
        self.parts = parts


class WindowReader:
    """Reads one window of one series whole, or says that it must be split."""

    def __init__(
        self,
        *,
        api: HistoryApi,
        client: Client,
        decoder: PageDecoder,
        paginator: Callable[[], Paginator],
    ) -> None:
        """`paginator` makes a new one for each window."""
        self._api = api
        self._client = client
        self._decoder = decoder
        self._paginator = paginator

    def read(self, window: Window, fits: Callable[[], None], effort: Effort) -> Batch:
        """Return the window's messages; `fits` is called once it is known that they are not too many.

        Raises `TooManyError` with the windows to read instead, and `ApiError`.
        """
        sized = window.size is Size.FITS or not window.splittable
        if window.size is Size.LARGE and not sized:
            self._probe(window, effort, set())
            sized = True
        if sized:
            fits()
        paginator = self._paginator()
        kept: dict[Any, Any] = {}
        rejected: dict[bytes, Rejected] = {}
        while not paginator.finished:
            limit = paginator.limit
            request = self._api.page_request(window, paginator.start, limit)
            page = self._client.send(request, self._decoder, effort)
            effort.pages += 1
            seen = len(kept) + len(rejected)
            # Pages shift while messages arrive: of a message seen twice, the later is the newer.
            kept.update(page.records)
            for it in page.rejected:
                rejected[msgspec.json.encode(it.row)] = it
            now_seen = len(kept) + len(rejected)
            paginator.advance(page.rows, now_seen - seen, has_next=page.has_next)
            if paginator.finished:
                break
            if not sized and (page.has_next or page.rows >= limit):
                self._probe(window, effort, kept.keys())
                sized = True
                fits()
            if now_seen >= _TOO_MANY and window.splittable:
                raise TooManyError(window.split(None, Order.UNKNOWN))
        return Batch(window, effort, self._in_send_order(kept.values()), [*rejected.values()])

    def _in_send_order(self, records: Iterable[Any]) -> list[Any]:
        """Sort by send time, and by identifier what was sent at the same one."""
        ordered = sorted(records, key=self._decoder.sent_at)
        times = [*map(self._decoder.sent_at, ordered)]
        # Most are in order as they come, but seldom by identifier: sorting by that takes five times as long.
        if any(map(eq, times, times[1:])):
            ordered.sort(key=id_of)
            ordered.sort(key=self._decoder.sent_at)
        return ordered

    def estimate(self, window: Window, effort: Effort) -> float:
        """Return about how many messages a window holds, from one or two small requests."""
        for index in (_PROBED_ROW, _PROBED_ROW // 10):
            page = self._client.send(self._api.probe_request(window, index), self._decoder, effort)
            if times := [*map(self._decoder.sent_at, page.records.values())]:
                share = window.share(from_text(times[0]), self._api.probe_order(times))
                return index / share if share else index
        return index / 5  # fewer, or none

    def _probe(self, window: Window, effort: Effort, first: AbstractSet[Any]) -> None:
        """Return if the window fits; `first` are the ids of its first page. Raises `TooManyError`."""
        request = self._api.probe_request(window, _PROBED_ROW)
        page = self._client.send(request, self._decoder, effort)
        if not page.rows:
            return
        if self._api.probes_like_pages and first & page.records.keys():
            raise ApiError("the server sends the same messages again and again")
        times = [*map(self._decoder.sent_at, page.records.values())]
        at = from_text(times[0]) if times else None
        raise TooManyError(window.split(at, self._api.probe_order(times)))
