"""What reading takes, counted where it is spent, and the word to stop."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Effort:
    """Goes along with one window: those who send, wait and decode for it count here. One thread at a time."""

    stop: threading.Event = field(default_factory=threading.Event)  #: set: end, as soon as it can be
    requests: int = 0  #: that were sent, repeated ones included
    retries: int = 0  #: requests that were repeated
    pages: int = 0  #: of messages that were read; of an export, files
    paced: float = 0.0  #: seconds waited for the pace
    seconds: float = 0.0  #: in all
    confirmed: bool | None = None  #: whether the vendor confirmed the count of the rows; None: not asked
    outside: int = 0  #: messages sent far outside of the window
    replaced: int = 0  #: characters that could not be kept and were replaced by U+FFFD
