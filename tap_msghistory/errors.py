"""What can stop a sync, as told to the user.

Every message is one line that names what to mend. None shows a key, an address or a text: whatever a
vendor wrote stays out, but for the error codes that its pages document.
"""

from __future__ import annotations


class TapError(Exception):
    """A failure that explains itself: reported as one line, without a traceback, exit code 1."""


class ApiError(TapError):
    """The vendor's API refused a request, or kept failing for longer than the tap may retry."""


class UnexpectedAnswerError(Exception):
    """A successful answer whose body is not what the vendor documents; it is asked for again."""


class StoppedBySignal(BaseException):
    """SIGTERM or SIGINT: the tap ends behind a whole line, with exit code 128 + `signum`."""

    def __init__(self, signum: int) -> None:
        """Keep the signal's number."""
        super().__init__(signum)
        self.signum = signum
