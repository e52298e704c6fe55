"""A message history, which reads windows and yields each message once, in send order."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Any, ClassVar

from tap_msghistory.config.account import Account, Vendor
from tap_msghistory.http.client import Client
from tap_msghistory.planning.windows import MAX_SPAN, Window
from tap_msghistory.reading.batches import Batch
from tap_msghistory.reading.boundaries import BoundaryDeduplicator
from tap_msghistory.reading.endpoint import HistoryEndpoint
from tap_msghistory.reading.layout import Identity, Layout
from tap_msghistory.reading.page_decoder import PageDecoder
from tap_msghistory.reading.paginators import Paginator
from tap_msghistory.reading.read_ahead import ReadCallbacks, ReadWindow, read_in_order
from tap_msghistory.reading.records import RecordNormalizer
from tap_msghistory.reading.sampler import PageSampler, Sampler
from tap_msghistory.reading.series import Series, ServerLimits
from tap_msghistory.reading.window_reader import WindowReader
from tap_msghistory.schemas import ACCOUNT, with_account


class HistorySource(abc.ABC):
    """The messages of one stream in one account. Subclasses declare streams with the SDK's attributes."""

    name: ClassVar[str]
    schema: dict[str, Any]
    primary_keys: tuple[str, ...]
    replication_key: ClassVar[str]  #: the property with the send time
    selected_by_default: ClassVar[bool] = True
    vendor: ClassVar[Vendor]
    #: A boolean setting that enables the stream; None: the vendor's credentials suffice.
    enabled_by: ClassVar[str | None] = None
    #: Properties that distinguish different messages with the same primary key, if senders choose
    #: identifiers.
    distinguished_by: ClassVar[tuple[str, ...]] = ()
    #: The property that replaces a missing messageId.
    id_fallback: ClassVar[str | None] = None
    #: The maximum length of a window.
    max_span: ClassVar[timedelta] = MAX_SPAN
    #: Maximum number of processes that may read at once; None: unlimited.
    max_processes: ClassVar[int | None] = None

    def __init__(self, account: Account) -> None:
        """Store the account, and adapt the declaration to its constants; nothing is requested yet."""
        self.account = account
        if account.constants:
            self.schema = with_account(self.schema)
            self.primary_keys = (*self.primary_keys, ACCOUNT)

    @property
    @abc.abstractmethod
    def read_window(self) -> ReadWindow:
        """The reader of single windows. Used by several threads at once."""

    @property
    @abc.abstractmethod
    def sampler(self) -> Sampler:
        """Checks, samples and estimates of windows with a few small requests."""

    @property
    def client(self) -> Client:
        """The client of the vendor's credential."""
        return self.account.client(self.vendor)

    @property
    def workers(self) -> int:
        """The number of windows that are read at once."""
        return self.account.settings.concurrency

    @property
    def defaults(self) -> Mapping[str, Any]:
        """The values of properties that a row may lack."""
        return {}

    @cached_property
    def layout(self) -> Layout:
        """The columns and the identity of the records."""
        keys = type(self).primary_keys  # within an account
        return Layout(
            self.schema,
            identity=Identity(keys, (*keys, *self.distinguished_by)),
            replication_key=self.replication_key,
            constants=self.account.constants,
        )

    @cached_property
    def normalizer(self) -> RecordNormalizer:
        """The converter from the vendor's rows to records."""
        return RecordNormalizer(
            self.schema,
            replication_key=self.replication_key,
            assume_timezone=self.account.settings.assume_timezone,
            primary_keys=self.layout.identity.key,
            id_fallback=self.id_fallback,
            defaults=self.defaults,
            constants=self.account.constants,
        )

    def read(
        self,
        windows: list[Window],
        callbacks: ReadCallbacks | None = None,
        *,
        shares_start_boundary: bool = False,
    ) -> Iterator[Batch]:
        """Yield the messages of ordered windows that do not overlap, each message once.

        With `shares_start_boundary`, another reader reads up to the start of the first window, and emits the
        messages of the instant that both share. Raises `TapError`.
        """
        boundaries = BoundaryDeduplicator(self.layout)
        if shares_start_boundary:
            instant = replace(windows[0], end=windows[0].start)
            for batch in self._read([instant], ReadCallbacks()):
                boundaries.deduplicate(batch)
        for batch in self._read(windows, callbacks or ReadCallbacks()):
            boundaries.deduplicate(batch)
            yield batch

    def _read(self, windows: list[Window], callbacks: ReadCallbacks) -> Iterator[Batch]:
        """Yield all batches; messages of a shared instant may be in the batches of two windows."""
        for contents in read_in_order(windows, self.read_window, self.workers, callbacks):
            yield from contents.batches()


class PagedHistorySource(HistorySource):
    """A message history behind an endpoint that returns pages."""

    paginator: ClassVar[type[Paginator]]

    @property
    @abc.abstractmethod
    def endpoint(self) -> HistoryEndpoint:
        """The vendor's endpoint, with the filters of the settings."""

    @cached_property
    def read_window(self) -> WindowReader:
        """The reader of single windows."""
        return WindowReader(self._series, self.paginator)

    @cached_property
    def sampler(self) -> PageSampler:
        """Small requests to the same endpoint."""
        return PageSampler(self._series)

    @cached_property
    def _series(self) -> Series:
        return self.new_series(ServerLimits(order=self.endpoint.probe_order))

    def new_series(self, limits: ServerLimits) -> Series:
        """Return the messages behind the endpoint, with what is known about the limits of its server."""
        endpoint = self.endpoint
        return Series(
            endpoint,
            self.client,
            PageDecoder(endpoint=endpoint, layout=self.layout, normalizer=self.normalizer),
            self.layout,
            self.account.config["page_size"],
            limits,
        )
