"""Downloads files from pre-signed links.

Sends no credentials, because the links point to another host, and never logs a link.
"""

from __future__ import annotations

import contextlib
import logging
import zlib
from collections.abc import Iterator
from contextvars import ContextVar
from http import HTTPStatus

import urllib3
from urllib3 import HTTPHeaderDict

from tap_msghistory.config.single_values import is_secure_url
from tap_msghistory.errors import ApiError
from tap_msghistory.http.connections import headers as request_headers
from tap_msghistory.http.connections import pool_for
from tap_msghistory.stats import WindowStats

_CHUNK = 1 << 16  # bytes
_GZIP = 31  # for zlib: a gzip member
_is_quiet = ContextVar("_is_quiet", default=False)


class DownloadError(Exception):
    """A download is incomplete. The message contains no part of the link."""


class Downloader:
    """Downloads files. Used by several threads at once."""

    def __init__(self, *, timeout: float) -> None:
        """Set the timeout for connecting and for each wait for data, in seconds."""
        self._timeout = timeout
        for logger in ("urllib3.connectionpool", "urllib3.util.retry"):
            logging.getLogger(logger).addFilter(_may_be_logged)

    def chunks(self, link: str, stats: WindowStats, headers: HTTPHeaderDict | None = None) -> Iterator[bytes]:
        """Yield a file in chunks, and store the response headers in `headers`. Status 204 is an empty file.

        Raises `DownloadError` if the download is incomplete, and `ApiError` for a link without TLS (except
        to loopback) and if `stats.cancelled` is set.
        """
        if not is_secure_url(link):
            raise ApiError("the partner gateway: its link to an export is not an https:// URL")
        stats.requests += 1
        try:
            with pool_for(link, 1) as pool, self._open(link, pool) as response:
                if response.status == HTTPStatus.NO_CONTENT:
                    return
                if response.status != HTTPStatus.OK:
                    raise DownloadError(f"the download returned status {response.status}")
                if headers is not None:
                    headers.update(response.headers)
                for chunk in _decoded(response):
                    if stats.cancelled.is_set():
                        raise ApiError("stopped while downloading")
                    yield chunk
        except urllib3.exceptions.HTTPError as error:
            raise DownloadError(f"the download was interrupted ({type(error).__name__})") from None

    def _open(self, link: str, pool: urllib3.PoolManager) -> urllib3.BaseHTTPResponse:
        with _quiet():
            return pool.request(
                "GET",
                link,
                headers=request_headers("*/*"),
                timeout=self._timeout,
                redirect=False,
                retries=False,
                preload_content=False,
            )


def _decoded(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Yield a decompressed body. urllib3 does not notice when a compressed body ends early."""
    if response.headers.get("Content-Encoding", "").strip().lower() not in ("gzip", "x-gzip"):
        yield from response.stream(_CHUNK, decode_content=True)
        return
    member = zlib.decompressobj(_GZIP)
    is_complete = True  # an empty body is complete
    for chunk in response.stream(_CHUNK, decode_content=False):
        rest = chunk
        while rest:
            try:
                yield member.decompress(rest)
            except zlib.error:
                raise DownloadError("the file is not gzip although Content-Encoding declares it") from None
            is_complete, rest = member.eof, member.unused_data
            if member.eof:
                member = zlib.decompressobj(_GZIP)
    if not is_complete:
        raise DownloadError("the compressed file ends early")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep urllib3 from logging the requests of this thread, because it would log the link."""
    token = _is_quiet.set(True)
    try:
        yield
    finally:
        _is_quiet.reset(token)


def _may_be_logged(_: logging.LogRecord) -> bool:
    return not _is_quiet.get()
