"""Statistics of one window, and its cancellation signal."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class WindowStats:
    """Counters that the client, the decoder and the readers of one window update. One thread at a time."""

    cancelled: threading.Event = field(default_factory=threading.Event)  #: if set, stop as soon as possible
    requests: int = 0  #: including retries
    retries: int = 0
    pages: int = 0  #: pages of messages; for an export, files
    throttled_seconds: float = 0.0  #: spent waiting for the rate limiter
    seconds: float = 0.0  #: spent reading the window
    #: Whether the vendor confirmed that the rows are complete; None: exports, which cannot be confirmed.
    confirmed: bool | None = None
    outside: int = 0  #: messages sent far outside the window
    replaced: int = 0  #: characters replaced by U+FFFD
