"""Failures of single streams: collected while the other streams are read, raised at the end of the run."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from http import HTTPStatus

from singer_sdk.exceptions import AbortedSyncFailedException, AbortedSyncPausedException

from tap_msghistory.errors import ApiError, FatalError, StreamsFailedError, explained, way_to
from tap_msghistory.http.client import Client
from tap_msghistory.streams.progress import Progress

logger = logging.getLogger("tap-msghistory.failures")

#: Raised while a stream is read, but not because of it: `--test` has seen enough, or nothing can go on.
_NO_FAILURES_OF_A_STREAM = (AbortedSyncFailedException, AbortedSyncPausedException, FatalError)


class Failures:
    """The streams of one run that failed, and the credentials that were refused."""

    def __init__(self, progress: Progress) -> None:
        """Record in `progress` which streams failed or were skipped."""
        self._progress = progress
        self._errors: dict[str, Exception] = {}
        self._refused: list[Client] = []

    def guard(self, name: str, client: Client, sync: Callable[[], None]) -> None:
        """Read a stream with `sync`, unless the credential of `client` was refused; keep its failure.

        Raises `FatalError`, and what is not an `Exception`, such as a signal.
        """
        if any(client is refused for refused in self._refused):
            self._progress.end(name, "skipped")
            logger.warning("%s is skipped: its credential was refused", name)
            return
        try:
            sync()
        except _NO_FAILURES_OF_A_STREAM:
            raise
        except Exception as error:  # noqa: BLE001 - the other streams are read whatever fails in this one
            self._keep(name, client, error)

    def raise_if_any(self) -> None:
        """Raise the error of the one stream that failed, or `StreamsFailedError` if several did."""
        if len(self._errors) > 1:
            raise StreamsFailedError(self._errors)
        for error in self._errors.values():
            raise error

    def _keep(self, name: str, client: Client, error: Exception) -> None:
        self._errors[name] = error
        if is_refusal(error):
            self._refused.append(client)
        self._progress.end(name, "failed")
        for place in way_to(error):
            logger.debug("by way of %s", place)
        # The frames hold the stream's read-ahead, which would otherwise run on next to the other streams.
        traceback.clear_frames(error.__traceback__)
        logger.warning("%s failed; other streams are still read: %s", name, explained(error))


def is_refusal(error: Exception) -> bool:
    """Return whether the vendor refused the credential, so that other requests with it are futile."""
    refusals = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    return isinstance(error, ApiError) and error.status in refusals
