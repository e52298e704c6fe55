"""What all message histories have in common: windows in, each message once and in send order out."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from threading import Event
from typing import Any, ClassVar, TypeVar

from tap_msghistory.config.account import Account
from tap_msghistory.http.client import Client
from tap_msghistory.planning.windows import MAX_SPAN, Window
from tap_msghistory.reading.boundaries import BoundaryDeduplicator
from tap_msghistory.reading.read_ahead import Read, read_in_order
from tap_msghistory.reading.records import Identity, Shaper
from tap_msghistory.reading.window_rows import Batch, Layout
from tap_msghistory.stats import Effort

T = TypeVar("T")


def _do_nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Watch:
    """What whoever reads wants to know meanwhile."""

    begin_effort: Callable[[Event], Effort] = Effort  #: makes what goes along with a window
    idle: Callable[[], None] = _do_nothing  #: called about once a second while there is nothing to hand over


class MessageHistory(abc.ABC):
    """The messages of one stream in one account."""

    name: str
    schema: Mapping[str, Any]
    #: The property that holds the send time.
    sent_at: ClassVar[str]
    #: What tells messages apart, in the vendor's rows and in a warehouse.
    identity: ClassVar[Identity]
    #: The property that may stand for a missing messageId.
    id_fallback: ClassVar[str | None] = None
    #: How long a window may be.
    max_span: ClassVar[timedelta] = MAX_SPAN
    #: How many processes may read it at once; None: any number.
    most_readers: ClassVar[int | None] = None

    def __init__(self, account: Account) -> None:
        """Read nothing yet."""
        self.account = account

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The values of properties that a row may lack."""
        return {}

    @property
    @abc.abstractmethod
    def client(self) -> Client:
        """The client of the account's credential."""

    @abc.abstractmethod
    def check(self, window: Window) -> str:
        """Send one small request, and return what it shows in a few words. Raises `ApiError`."""

    @abc.abstractmethod
    def read_windows(self, windows: list[Window], watch: Watch) -> Iterator[Batch]:
        """Yield the windows' batches in their order, with what the vendor gives to two windows in both."""

    def read(
        self, windows: list[Window], watch: Watch | None = None, *, begins_at_seam: bool = False
    ) -> Iterator[Batch]:
        """Yield the windows' messages, none twice. Windows are in order, and none overlaps another.

        `begins_at_seam`: somebody else reads up to where the first window starts, and has what both have.
        Raises `TapError`.
        """
        boundaries = BoundaryDeduplicator(self.layout)
        if begins_at_seam:
            for batch in self.read_windows([replace(windows[0], end=windows[0].start)], Watch()):
                boundaries.leave_out(batch)
        for batch in self.read_windows(windows, watch or Watch()):
            boundaries.leave_out(batch)
            yield batch

    def estimate(self, window: Window, effort: Effort) -> float | None:  # noqa: ARG002
        """Return about how many messages a window holds; None where that cannot be asked."""
        return None

    @abc.abstractmethod
    def sample(self, window: Window) -> list[Any]:
        """Return a few records of a window, from one small request that shows that the credentials work."""

    def shows(self, moment: datetime) -> bool:  # noqa: ARG002
        """Return whether the vendor serves requests for the messages of a moment; True if unknown."""
        return True

    @cached_property
    def layout(self) -> Layout:
        """The columns of the records, and what tells records apart."""
        return Layout(self.schema, identity=self.identity, sent_at=self.sent_at)

    def get_shaper(self) -> Shaper:
        """Return what makes records of the vendor's rows."""
        return Shaper(
            self.schema,
            sent_at=self.sent_at,
            assume_timezone=self.account.settings.assume_timezone,
            key=self.identity.key,
            id_fallback=self.id_fallback,
            defaults=self.defaults,
        )

    @staticmethod
    def side_by_side(windows: list[Window], read: Read[T], workers: int, watch: Watch) -> Iterator[T]:
        """Yield what `read` makes of the windows, in their order, up to `workers` at once."""
        return read_in_order(windows, read, workers, begin_effort=watch.begin_effort, idle=watch.idle)
