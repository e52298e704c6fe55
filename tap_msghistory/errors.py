"""What can stop a sync, as told to the user.

Every message is one line that names what to mend. None shows a key, an address or a text: whatever a
vendor wrote stays out, but for the error codes that its pages document.
"""

from __future__ import annotations

import signal
import traceback
from collections.abc import Mapping
from pathlib import Path

_REFUSALS = frozenset({400, 410, 416, 422})


class TapError(Exception):
    """A failure that explains itself: reported as one line, without a traceback, exit code 1."""


class FatalError(TapError):
    """A failure that ends the run at once, whichever stream is being read."""


class ApiError(TapError):
    """The vendor's API refused a request, or kept failing for longer than the tap may retry."""

    def __init__(self, message: str, status: int | None = None) -> None:
        """Keep the status with which a request was refused, None where none was."""
        super().__init__(message)
        self.status = status

    @property
    def is_refusal(self) -> bool:
        """Whether the server will never serve this request, such as one beyond its retention period."""
        return self.status in _REFUSALS


class StreamsFailedError(TapError):
    """Several streams failed; the others were read."""

    def __init__(self, errors: Mapping[str, Exception]) -> None:
        """Keep one line per stream that failed, from the errors by stream."""
        self.lines = [f"{stream}: {explained(error)}" for stream, error in errors.items()]
        super().__init__("; ".join(self.lines))


class UnclearError(ApiError):
    """A request that must not be repeated blindly may have had its effect, or not."""


class UnexpectedAnswerError(Exception):
    """A successful answer whose body is not what the vendor documents; it is asked for again."""


def way_to(error: BaseException) -> list[str]:
    """Return the places, outermost first, by way of which an error came up."""
    frames = traceback.extract_tb(error.__traceback__)
    return [f"{Path(frame.filename).name}, line {frame.lineno}" for frame in frames]


def explained(error: Exception) -> str:
    """Explain a failure; an unforeseen one by type and place only, as its text may quote a message."""
    if isinstance(error, (TapError, OSError)):
        return str(error)
    return f"Unforeseen {type(error).__name__} in {way_to(error)[-1]}"


class StoppedBySignal(BaseException):
    """SIGTERM, SIGINT or SIGHUP: the tap ends behind a whole line, with exit code 128 + `signum`."""

    def __init__(self, signum: int) -> None:
        """Keep the signal's number."""
        super().__init__(signum)
        self.signum = signum

    def explain(self, *, resumes: bool) -> str:
        """Return one line; `resumes` if a next run continues from the state that was written."""
        what_next = "; the next run goes on from the last state" if resumes else ""
        return f"Stopped by {signal.Signals(self.signum).name}{what_next}"
