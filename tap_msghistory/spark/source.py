"""The data source: plans a read, reads partitions, and converts bookmarks to Spark's offsets.

Spark runs its parts in separate processes, on the driver (`schema`, `partitions`, offsets) and on executors
(`read`). Everything passed between them is pickled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
from pyspark import SparkContext
from pyspark.sql import SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader, DataSourceStreamReader, InputPartition
from pyspark.sql.types import StructType

from tap_msghistory.errors import TapError, describe_error
from tap_msghistory.planning import bookmarks
from tap_msghistory.planning.bookmarks import Bookmark
from tap_msghistory.planning.plan import plan
from tap_msghistory.planning.windows import Window
from tap_msghistory.reading.parts import Part, max_readers, parts
from tap_msghistory.reading.source import HistorySource
from tap_msghistory.spark.columns import Columns
from tap_msghistory.spark.options import NamedAccount, ReadOptions
from tap_msghistory.syncing.history_sync import HistorySync
from tap_msghistory.syncing.run import SyncRun
from tap_msghistory.timestamps import now

if TYPE_CHECKING:
    from pyspark.sql.streaming.datasource import SupportsTriggerAvailableNow
else:
    try:
        from pyspark.sql.streaming.datasource import SupportsTriggerAvailableNow
    except ImportError:  # before 4.2, where such a query is one batch

        class SupportsTriggerAvailableNow:
            """A placeholder."""


#: Bookmarks in the form of a Singer state, keyed by stream, and by account if the option accounts is used.
Offset = Mapping[str, Mapping[str, Any]]

_REDACTION = "spark.sql.redaction.options.regex"
#: Options whose values Spark must not display: credentials and people's addresses. The text must not contain
#: any of the words for which Spark redacts settings, or Spark would redact this setting too.
_SENSITIVE = "(?i)^accounts$|_api_key$|_username$|_passwor[d]$|_address$|_export_(sender|recipient)$"


def hide_credentials(session: SparkSession) -> None:
    """Make a session redact the options that contain credentials or people's addresses.

    Spark displays a read's options in plans, in its user interface and in the event log, except for those
    that match the session's setting `spark.sql.redaction.options.regex`.
    """
    hidden = session.conf.get(_REDACTION, "")
    if _SENSITIVE not in (hidden or ""):
        session.conf.set(_REDACTION, f"{hidden}|{_SENSITIVE}" if hidden else _SENSITIVE)


class MessageHistoryDataSource(DataSource):
    """Message histories, each message with its latest status."""

    @classmethod
    def name(cls) -> str:
        """Return `msghistory`, and make the session hide credentials.

        Spark calls this during registration, the only time that the data source runs in a process with a
        session. If the thread has no active session, the default session is used.
        """
        session = SparkSession.getActiveSession()
        if session is None and SparkContext._active_spark_context is not None:  # noqa: SLF001
            session = SparkSession.builder.getOrCreate()
        if session is not None:
            hide_credentials(session)
        return "msghistory"

    def schema(self) -> StructType:
        """Return the columns. Options are validated here, when the DataFrame is created."""
        with _redacted_errors():
            return _columns(ReadOptions.parse(self.options)).struct

    def reader(self, schema: StructType) -> MessageHistoryReader:
        """Return the reader of a batch read."""
        with _redacted_errors():
            return MessageHistoryReader(ReadOptions.parse(self.options), schema)

    def streamReader(self, schema: StructType) -> MessageHistoryStreamReader:  # noqa: N802
        """Return the reader of a streaming read."""
        with _redacted_errors():
            return MessageHistoryStreamReader(ReadOptions.parse(self.options), schema)


@contextmanager
def _redacted_errors(account: NamedAccount | None = None) -> Iterator[None]:
    """Replace errors with a `TapError` without a cause: Spark displays causes, which may quote a message."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - its text may quote a message
        prefix = f"account {account.name}: " if account and account.name else ""
        raise TapError(f"{prefix}{describe_error(error)}") from None


@dataclass
class HistoryPartition(InputPartition):
    """The partition of one task: a part of one account's history.

    It contains no credential, only the index of the account in the options.
    """

    account: int
    part: Part
    shared_by: int = 1  #: partitions with the same credential, including this one


class _Reader:
    """The common part of batch and streaming readers. It is pickled, so it has no clients or locks."""

    def __init__(self, options: ReadOptions, schema: StructType) -> None:
        self._options = options
        self._columns = _columns(options)
        self._columns.set_schema(schema)

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield a partition's messages in batches. Raises `TapError`."""
        task = cast("HistoryPartition", partition)
        account = self._options.accounts[task.account]
        with _redacted_errors(account):
            source = account.source(self._options.source_type, task.shared_by)
            windows, shares_start_boundary = task.part
            for batch in source.read(windows, shares_start_boundary=shares_start_boundary):
                if batch.rejected and not self._options.rejected_column:
                    raise TapError(
                        f"{source.name}: {len(batch.rejected)} messages of a window are invalid "
                        f'({batch.rejected[-1].reason}). Set the option rejected to "column" to '
                        "return such messages in the column rejected"
                    )
                yield self._columns.to_arrow(batch, source.account.constants)

    def _divided(self, windows_of: Callable[[HistorySource, str], list[Window]]) -> list[HistoryPartition]:
        """Return the partitions of each account's windows. Raises `TapError`."""
        accounts = self._options.accounts
        credential = self._options.source_type.vendor.credential
        credentials = [credential(account.config) for account in accounts]
        found: list[HistoryPartition] = []
        for number, account in enumerate(accounts):
            with _redacted_errors(account):
                source, key = self._driver_source(account)
                windows = windows_of(source, key)
                limit = max_readers(source, credentials.count(credentials[number]))
                count = min(limit, max(1, self._options.num_partitions // len(accounts)))
                found += [HistoryPartition(number, part) for part in parts(source, windows, count)]
        shared_by = Counter(credentials[task.account] for task in found)
        return [replace(task, shared_by=shared_by[credentials[task.account]]) for task in found]

    def _driver_source(self, account: NamedAccount) -> tuple[HistorySource, str]:
        """Return an account's history for use on the driver, and its key in an offset."""
        source = account.source(self._options.source_type, shared_by=1)
        return source, f"{source.name} of {account.name}" if account.name else source.name


class MessageHistoryReader(_Reader, DataSourceReader):
    """Reads the same messages as the first run of the tap, or the ranges in `reread`."""

    def partitions(self) -> Sequence[HistoryPartition]:
        """Return partitions of about equal numbers of messages. Raises `TapError`."""
        found = self._divided(_first_windows)
        # Spark would replace an empty list with a partition that cannot be read.
        return found or [HistoryPartition(0, Part([]))]


class MessageHistoryStreamReader(_Reader, DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Reads the same messages as successive runs of the tap, with Spark's checkpoint as the state."""

    _moment: datetime | None = None

    def __init__(self, options: ReadOptions, schema: StructType) -> None:
        """Store the options. Raises `TapError` if one has no effect in a streaming query."""
        super().__init__(options, schema)
        if options.has_rereads:
            raise TapError("Option reread has no effect in a streaming query. Use a batch read")

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802
        """Fix the time up to which messages are available."""
        self._moment = now()

    def initialOffset(self) -> Offset:  # type: ignore[override]  # noqa: N802
        """Return the offset before the first read."""
        return {}

    def latestOffset(self, start: Offset | None = None, limit: object = None) -> Offset:  # type: ignore[override]  # noqa: N802, ARG002
        """Return the end of the next micro-batch; PySpark before 4.2 does not pass `start`."""
        end = {**(start or {})}
        for account in self._options.accounts:
            with _redacted_errors(account):
                source, key = self._driver_source(account)
                settings = source.account.settings
                until = settings.read_until(self._moment or now())
                bookmark = _bookmark(end, key, source)
                read_to = max(bookmark.read_to, settings.schedule.start_date)
                if until <= read_to:
                    continue
                span = self._options.max_span_per_trigger
                # Without `start`, the next micro-batch cannot be distinguished from the first one.
                reached = until if span is None or start is None else min(until, read_to + span)
                state: dict[str, Any] = {}
                moved = Bookmark(reached, as_of=until, read_from=bookmark.read_from)
                bookmarks.write(moved, source.replication_key, state)
                end[key] = state
        return end

    def partitions(self, start: Offset, end: Offset) -> Sequence[HistoryPartition]:
        """Return the partitions of new messages and of due revisits. Raises `TapError`."""

        def windows_of(source: HistorySource, key: str) -> list[Window]:
            if key not in end:
                return []
            reached, bookmark = _bookmark(end, key, source), _bookmark(start, key, source)
            schedule = source.account.settings.schedule
            return plan(bookmark, reached.as_of, schedule, source.max_span, new_until=reached.read_to)

        return self._divided(windows_of)


def _first_windows(source: HistorySource, _: str) -> list[Window]:
    return HistorySync(source, SyncRun(source.account)).plan({}).windows


def _columns(options: ReadOptions) -> Columns:
    source = options.accounts[0].source(options.source_type, shared_by=1)
    return Columns(source.schema, rejected=options.rejected_column)


def _bookmark(offset: Offset, key: str, source: HistorySource) -> Bookmark:
    try:
        start_date = source.account.settings.schedule.start_date
        return bookmarks.read(offset.get(key, {}), start_date, source.replication_key)
    except ValueError as error:
        raise TapError(f"The offset of {key} is not readable: {error}") from error
