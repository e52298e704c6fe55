"""Reads one window with an export job: waits for its file and sorts the messages by send time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from urllib3 import HTTPHeaderDict

from tap_msghistory.errors import ApiError, UnexpectedResponseError
from tap_msghistory.http.client import Client
from tap_msghistory.planning.windows import Window
from tap_msghistory.reading.batches import WindowContents, refused
from tap_msghistory.reading.layout import Layout
from tap_msghistory.reading.records import RecordNormalizer, Rejected, Row
from tap_msghistory.reading.spooled_rows import SpooledRows
from tap_msghistory.stats import WindowStats
from tap_msghistory.vendors.partner_gateway_export.csv_rows import CsvParser
from tap_msghistory.vendors.partner_gateway_export.download import Downloader, DownloadError
from tap_msghistory.vendors.partner_gateway_export.jobs import ExportJobs

T = TypeVar("T")
logger = logging.getLogger("tap-msghistory.exports")

_MAX_DOWNLOADS = 5
_ROWS_PER_PART = 1_000


class ExportReader:
    """Reads windows of one account. Used by several threads at once."""

    def __init__(
        self,
        *,
        client: Client,
        jobs: ExportJobs,
        downloader: Downloader,
        parser: CsvParser,
        normalizer: RecordNormalizer,
        layout: Layout,
    ) -> None:
        self._client = client
        self._jobs = jobs
        self._downloader = downloader
        self._parser = parser
        self._normalizer = normalizer
        self._layout = layout
        self._record = layout.record_type()

    def __call__(
        self, window: Window, on_size_known: Callable[[], None], stats: WindowStats
    ) -> WindowContents:
        """Return the window's messages; `on_size_known` is called once the job is queued.

        An incomplete or invalid file is downloaded again with a new link; none of its rows have been emitted
        yet. If the vendor refuses a revisit or lookback window, the window is returned with the refusal.
        Raises `TapError`.
        """
        try:
            job_id = self._jobs.run(window, on_size_known, stats)
        except ApiError as error:
            return refused(window, stats, error)
        attempts = 0
        while True:
            link = self._jobs.link(job_id, window, stats)
            attempts += 1
            try:
                return WindowContents(window, stats, self._download(link, stats))
            except (DownloadError, UnexpectedResponseError) as error:
                reason = str(error)
            if attempts == _MAX_DOWNLOADS:
                raise ApiError(
                    f"the partner gateway: gave up on the export of {window.describe()} after {attempts} "
                    f"attempts: {reason}"
                )
            wait = self._client.backoff_delay(attempts)
            logger.warning("Export of %s: %s; downloading again in %.1f s", window.describe(), reason, wait)
            self._client.pause(wait, stats)

    def _download(self, link: str, stats: WindowStats) -> SpooledRows:
        """Parse a file while it is downloaded, and sort its messages."""
        spooled = SpooledRows(self._layout)
        try:
            headers = HTTPHeaderDict()
            chunks = self._downloader.chunks(link, stats, headers)
            for rows in _parts(self._parser.read(chunks, headers, stats)):
                spooled.add(map(self._item, rows))
            spooled.finish()
            stats.pages += 1
        except BaseException:
            spooled.close()
            raise
        return spooled

    def _item(self, row: Row | Rejected) -> object:
        normalized = row if isinstance(row, Rejected) else self._normalizer(row)
        return normalized if isinstance(normalized, Rejected) else self._record(**normalized)


def _parts(rows: Iterable[T]) -> Iterator[list[T]]:
    rows = iter(rows)
    while part := list(islice(rows, _ROWS_PER_PART)):
        yield part
