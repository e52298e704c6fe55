"""Reads one window through an export: a job, its file, and the file's messages in send order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import msgspec

from tap_msghistory.client import Client
from tap_msghistory.effort import Effort
from tap_msghistory.errors import ApiError, UnexpectedAnswerError
from tap_msghistory.exports.csv_rows import CsvRows
from tap_msghistory.exports.download import Downloader, DownloadError
from tap_msghistory.exports.jobs import ExportJobs, span
from tap_msghistory.spool import Message, Spool
from tap_msghistory.reader import Batch
from tap_msghistory.records import Rejected, Row, Shaper
from tap_msghistory.retries import delay
from tap_msghistory.timestamps import to_text
from tap_msghistory.windows import Window

T = TypeVar("T")
logger = logging.getLogger("tap-msghistory.exports")

_DOWNLOADS = 5
_ROWS_AT_ONCE = 1_000
#: How much of a window's end the next one may begin with: times may be cut to whole seconds.
_OVERLAP = timedelta(seconds=1)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Export(NamedTuple):
    """A window's messages, in order, and what it has taken to read them."""

    window: Window
    effort: Effort
    spool: Spool


class ExportReader:
    """Reads windows of one account, several at once."""

    def __init__(
        self, *, client: Client, jobs: ExportJobs, downloader: Downloader, rows: CsvRows, shaper: Shaper
    ) -> None:
        """Read nothing yet."""
        self._client = client
        self._jobs = jobs
        self._downloader = downloader
        self._rows = rows
        self._shaper = shaper

    def read(self, window: Window, fits: Callable[[], None], effort: Effort) -> Export:
        """Return the window's messages; `fits` is called once its job is queued.

        A download that breaks off, or a file that ends early, is started over with a fresh link: nothing
        of it has been emitted yet. Raises `TapError`.
        """
        job_id = self._jobs.run(window, fits, effort)
        tries = 0
        while True:
            link = self._jobs.link(job_id, window, effort)
            tries += 1
            try:
                return Export(window, effort, self._download(link, effort))
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
            for rows in _parts(self._rows.read(self._downloader.chunks(link, effort))):
                self._add(rows, spool)
            spool.finish()
            effort.pages += 1
        except BaseException:
            spool.close()
            raise
        return spool

    def _add(self, rows: list[Row], spool: Spool) -> None:
        messages, rejections = [], []
        for row in rows:
            shaped = self._shaper(row)
            if isinstance(shaped, Rejected):
                rejections.append((_encode(shaped.row), shaped.reason))
            else:
                messages.append((shaped[self._shaper.sent_at], shaped["messageId"], _encode(shaped)))
        spool.add(messages)
        spool.reject(rejections)


def batches(export: Export, record_type: type[msgspec.Struct]) -> Iterator[Batch]:
    """Yield a window's records in send order, a thousand at a time, and let go of the disk.

    The last batch has all that the next window may have too.
    """
    decode = msgspec.json.Decoder(record_type).decode

    def restored(messages: Iterable[Message]) -> list[Any]:
        return [decode(record) for _, _, record in messages]

    window, effort, spool = export
    near_end = to_text(window.end - _OVERLAP)
    try:
        for rejections in _parts(spool.rejected()):
            rejected = [Rejected(_decode(message), reason) for message, reason in rejections]
            yield Batch(window, effort, rejected=rejected, ends_window=False)
        for messages in _parts(spool.sent_before(near_end)):
            yield Batch(window, effort, restored(messages), ends_window=False)
        yield Batch(window, effort, restored(spool.sent_since(near_end)))
    finally:
        spool.close()


def _parts(rows: Iterable[T]) -> Iterator[list[T]]:
    rows = iter(rows)
    while part := list(islice(rows, _ROWS_AT_ONCE)):
        yield part
