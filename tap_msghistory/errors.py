"""What can stop a sync, as told to the user.

Every message is one line that names what to mend. None shows a key, an address or a text: whatever a
vendor wrote stays out, but for the error codes that its pages document.
"""

from __future__ import annotations


class TapError(Exception):
    """A failure that explains itself: reported as one line, without a traceback, exit code 1."""


class ApiError(TapError):
    """The vendor's API refused a request, or kept failing for longer than the tap may retry."""

    def __init__(self, message: str, status: int | None = None) -> None:
        """Keep the status with which a request was refused, None where none was."""
        super().__init__(message)
        self.status = status


class UnclearError(ApiError):
    """A request that must not be repeated blindly may have had its effect, or not."""


class UnexpectedAnswerError(Exception):
    """A successful answer whose body is not what the vendor documents; it is asked for again."""


class StoppedBySignal(BaseException):
    """SIGTERM or SIGINT: the tap ends behind a whole line, with exit code 128 + `signum`."""

    def __init__(self, signum: int) -> None:
        """Keep the signal's number."""
        super().__init__(signum)
        self.signum = signum
