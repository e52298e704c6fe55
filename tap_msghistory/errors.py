"""Errors that stop a sync or a stream.

Each message is one line and, where possible, says how to fix the problem. It contains no key, address or
message text, and quotes only documented error codes of a response.
"""

from __future__ import annotations

import signal
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

_REFUSALS = frozenset({400, 410, 416, 422})


class TapError(Exception):
    """A failure with a complete explanation: reported as one line without a traceback, exit code 1."""

    #: Whether the same run may succeed later, although nothing is changed.
    is_temporary: bool = False


class FatalError(TapError):
    """A failure that ends the whole run, not only one stream."""


class ApiError(TapError):
    """The vendor's API refused a request, or kept failing until the retry budget was spent."""

    def __init__(self, message: str, status: int | None = None) -> None:
        """Store the status of the response that refused the request; None if there was none."""
        super().__init__(message)
        self.status = status
        # A 4xx status mostly refuses the settings; another attempt would not help.
        self.is_temporary = status is None or status >= HTTPStatus.INTERNAL_SERVER_ERROR

    @property
    def is_range_refused(self) -> bool:
        """Whether the server refuses the requested range, for example beyond its retention period."""
        return self.status in _REFUSALS


class StreamsFailedError(TapError):
    """Several streams failed; the others were read."""

    def __init__(self, errors: Mapping[str, Exception]) -> None:
        """Store one line per failed stream; `errors` is keyed by stream name."""
        self.lines = [f"{stream}: {describe_error(error)}" for stream, error in errors.items()]
        super().__init__("; ".join(self.lines))


class AmbiguousOutcomeError(ApiError):
    """A request that must not be sent twice may or may not have had its effect."""


class UnexpectedResponseError(Exception):
    """A successful response whose body differs from the vendor's documentation. The request is retried."""


def traceback_locations(error: BaseException) -> list[str]:
    """Return the file and line of each frame of an error's traceback, outermost first."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}, line {frame.lineno}" for frame in frames]


def describe_error(error: Exception) -> str:
    """Return one line about an error; for an unexpected error, only its type and location.

    The text of an unexpected error may quote a message.
    """
    if isinstance(error, (TapError, OSError)):
        return str(error)
    return f"Unexpected {type(error).__name__} in {traceback_locations(error)[-1]}"


class StoppedBySignal(BaseException):
    """SIGTERM, SIGINT or SIGHUP: the tap ends after a complete line, with exit code 128 + `signum`."""

    def __init__(self, signum: int) -> None:
        """Store the signal number."""
        super().__init__(signum)
        self.signum = signum

    def describe(self, *, resumes: bool) -> str:
        """Return one line; `resumes` is whether the next run continues from the emitted state."""
        what_next = "; the next run resumes from the last state" if resumes else ""
        return f"Stopped by {signal.Signals(self.signum).name}{what_next}"
