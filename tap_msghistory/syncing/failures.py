"""Failures of single streams: kept while the other streams are read, raised at the end of the run."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from http import HTTPStatus

from tap_msghistory.errors import (
    ApiError,
    FatalError,
    StreamsFailedError,
    TapError,
    describe_error,
    traceback_locations,
)
from tap_msghistory.http.client import Client
from tap_msghistory.syncing.progress import Progress

logger = logging.getLogger("tap-msghistory.failures")


class Failures:
    """The failed streams of one run, and the clients that are no longer used."""

    def __init__(self, progress: Progress, aborts: tuple[type[Exception], ...] = ()) -> None:
        """Record failed and skipped streams in `progress`. Exceptions in `aborts` end the run."""
        self._progress = progress
        self._aborts: tuple[type[Exception], ...] = (FatalError, *aborts)
        self._errors: dict[str, Exception] = {}
        self._skipped: list[str] = []
        self._abandoned: list[Client] = []

    def guard(
        self, name: str, client: Client, sync: Callable[[], None], *, skips_others: bool = False
    ) -> None:
        """Run `sync` for a stream and keep its failure.

        The stream is skipped if an earlier stream with the same `client` failed because its credential was
        refused or, with `skips_others`, because of any `ApiError`. Raises `FatalError`, the exceptions in
        `aborts`, and exceptions such as `StoppedBySignal` that are not an `Exception`.
        """
        if any(client is abandoned for abandoned in self._abandoned):
            self._skipped.append(name)
            self._progress.end(name, "skipped")
            logger.warning("%s is skipped: another stream with the same credential failed", name)
            return
        try:
            sync()
        except self._aborts:
            raise
        except Exception as error:  # noqa: BLE001 - the other streams are read regardless of this failure
            if is_credential_refusal(error) or (skips_others and isinstance(error, ApiError)):
                self._abandoned.append(client)
            self._keep(name, error)

    @property
    def unread(self) -> dict[str, Exception]:
        """The errors of all streams that were not read to their end, by name."""
        skipped = TapError("skipped because another stream with the same credential failed")
        return {**self._errors, **dict.fromkeys(self._skipped, skipped)}

    def raise_if_any(self) -> None:
        """Raise the error of the only failed stream, or `StreamsFailedError` if several failed."""
        if len(self._errors) > 1:
            raise StreamsFailedError(self._errors)
        for error in self._errors.values():
            raise error

    def _keep(self, name: str, error: Exception) -> None:
        self._errors[name] = error
        self._progress.end(name, "failed")
        for location in traceback_locations(error):
            logger.debug("  at %s", location)
        # The frames hold the stream's read-ahead, which would otherwise continue during the other streams.
        traceback.clear_frames(error.__traceback__)
        logger.warning("%s failed; the run continues: %s", name, describe_error(error))


def is_credential_refusal(error: Exception) -> bool:
    """Return whether the vendor refused the credential, so that other requests with it would fail too."""
    refusals = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    return isinstance(error, ApiError) and error.status in refusals
