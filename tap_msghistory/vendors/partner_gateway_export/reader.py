"""Reads one window through an export: a job, its file, and the file's messages in send order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

from tap_msghistory.errors import ApiError, UnexpectedAnswerError
from tap_msghistory.http.client import Client
from tap_msghistory.http.retries import delay
from tap_msghistory.planning.windows import Reason, Window
from tap_msghistory.reading.records import Rejected, Row, Shaper, record_type
from tap_msghistory.reading.spool import Spool
from tap_msghistory.reading.window_rows import Batch, Layout, spool_items, spooled_batches
from tap_msghistory.stats import Effort
from tap_msghistory.vendors.partner_gateway_export.csv_rows import CsvRows
from tap_msghistory.vendors.partner_gateway_export.download import Downloader, DownloadError
from tap_msghistory.vendors.partner_gateway_export.jobs import ExportJobs, span

T = TypeVar("T")
logger = logging.getLogger("tap-msghistory.exports")

_DOWNLOADS = 5
_ROWS_AT_ONCE = 1_000


class Export(NamedTuple):
    """A window's messages, in order, and what it has taken to read them."""

    window: Window
    effort: Effort
    layout: Layout
    spool: Spool | None
    refusal: ApiError | None = None

    def batches(self) -> Iterator[Batch]:
        """Yield the window's messages in send order."""
        if self.spool is None:
            yield Batch(self.window, self.effort, refusal=self.refusal)
        else:
            yield from spooled_batches(self.spool, self.layout, self.window, self.effort)


class ExportReader:
    """Reads windows of one account, several at once."""

    def __init__(
        self,
        *,
        client: Client,
        jobs: ExportJobs,
        downloader: Downloader,
        rows: CsvRows,
        shaper: Shaper,
        layout: Layout,
    ) -> None:
        """Read nothing yet."""
        self._client = client
        self._jobs = jobs
        self._downloader = downloader
        self._rows = rows
        self._shaper = shaper
        self._layout = layout
        self._record = record_type(layout.schema, extra_fields=None)

    def read(self, window: Window, fits: Callable[[], None], effort: Effort) -> Export:
        """Return the window's messages; `fits` is called once its job is queued.

        A download that breaks off, or a file that ends early, is started over with a fresh link: nothing
        of it has been emitted yet. Raises `TapError`.
        """
        try:
            job_id = self._jobs.run(window, fits, effort)
        except ApiError as error:
            if not error.is_refusal or window.reason is Reason.NEW:
                raise
            return Export(window, effort, self._layout, None, error)
        tries = 0
        while True:
            link = self._jobs.link(job_id, window, effort)
            tries += 1
            try:
                return Export(window, effort, self._layout, self._download(link, effort))
            except (DownloadError, UnexpectedAnswerError) as error:
                why = str(error)
            if tries == _DOWNLOADS:
                raise ApiError(
                    f"the partner gateway: gave up the export of {span(window)} after {tries} tries: {why}"
                )
            wait = delay(tries, 0.0)
            logger.warning("Export of %s: %s; downloading again in %.1f s", span(window), why, wait)
            self._client.pause(wait, effort)

    def _download(self, link: str, effort: Effort) -> Spool:
        """Parse a file while it comes, and put its messages in order."""
        spool = Spool()
        try:
            headers: dict[str, str] = {}
            chunks = self._downloader.chunks(link, effort, headers)
            for rows in _parts(self._rows.read(chunks, headers, effort)):
                self._add(rows, spool)
            spool.finish()
            effort.pages += 1
        except BaseException:
            spool.close()
            raise
        return spool

    def _add(self, rows: list[Row | Rejected], spool: Spool) -> None:
        shaped = (row if isinstance(row, Rejected) else self._shaper(row) for row in rows)
        items = [item if isinstance(item, Rejected) else self._record(**item) for item in shaped]
        spool_items(spool, items, self._layout)


def _parts(rows: Iterable[T]) -> Iterator[list[T]]:
    rows = iter(rows)
    while part := list(islice(rows, _ROWS_AT_ONCE)):
        yield part
