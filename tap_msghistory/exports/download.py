"""Downloads from pre-signed links: another host's, so without any credentials, and never logged."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar
from http import HTTPStatus

import urllib3

from tap_msghistory.checks import is_private_url
from tap_msghistory.connections import headers, pool_for
from tap_msghistory.effort import Effort
from tap_msghistory.errors import ApiError

_CHUNK = 1 << 16  # bytes
_is_quiet = ContextVar("_is_quiet", default=False)


class DownloadError(Exception):
    """A file has not arrived whole. The text shows nothing of the link."""


class Downloader:
    """Downloads files, several at once."""

    def __init__(self, *, timeout: float) -> None:
        """Open no connection yet; `timeout`, in seconds, is for the server to connect, and to send on."""
        self._timeout = timeout
        for logger in ("urllib3.connectionpool", "urllib3.util.retry"):
            logging.getLogger(logger).addFilter(_may_be_logged)

    def chunks(self, link: str, effort: Effort) -> Iterator[bytes]:
        """Yield a file as it comes.

        Raises `DownloadError` where it does not come whole, and `ApiError` for a link that is no TLS (but
        for loopback), and when `effort` is stopped.
        """
        if not is_private_url(link):
            raise ApiError("the partner gateway: its link to an export is no https:// URL")
        effort.requests += 1
        try:
            with pool_for(link, 1) as pool, self._open(link, pool) as response:
                if response.status != HTTPStatus.OK:
                    raise DownloadError(f"the download was answered with status {response.status}")
                for chunk in response.stream(_CHUNK, decode_content=True):
                    if effort.stop.is_set():
                        raise ApiError("stopped while downloading")
                    yield chunk
        except urllib3.exceptions.HTTPError as error:
            raise DownloadError(f"the download broke off ({type(error).__name__})") from None

    def _open(self, link: str, pool: urllib3.PoolManager) -> urllib3.BaseHTTPResponse:
        with _quiet():
            return pool.request(
                "GET",
                link,
                headers=headers("*/*"),
                timeout=self._timeout,
                redirect=False,
                retries=False,
                preload_content=False,
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep urllib3 from logging what this thread asks for: it would log the link."""
    token = _is_quiet.set(True)
    try:
        yield
    finally:
        _is_quiet.reset(token)


def _may_be_logged(_: logging.LogRecord) -> bool:
    return not _is_quiet.get()
