"""The data source: Spark asks what there is to read, hands it to tasks, and keeps the bookmark.

Spark runs each part in a process of its own, on the driver (`schema`, `partitions`, offsets) and on
executors (`read`); what goes between them is pickled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
from pyspark import SparkContext
from pyspark.sql import SparkSession
from pyspark.sql.datasource import DataSource, DataSourceReader, DataSourceStreamReader, InputPartition
from pyspark.sql.types import StructType

from tap_msghistory.errors import TapError, explained
from tap_msghistory.planning import bookmarks
from tap_msghistory.planning.windows import Bookmark, plan
from tap_msghistory.spark import partitions
from tap_msghistory.spark.columns import Columns
from tap_msghistory.spark.options import NamedAccount, ReadOptions
from tap_msghistory.spark.partitions import HistoryPartition
from tap_msghistory.timestamps import floor, now
from tap_msghistory.vendors import MessageHistory

if TYPE_CHECKING:
    from pyspark.sql.streaming.datasource import SupportsTriggerAvailableNow
else:
    try:
        from pyspark.sql.streaming.datasource import SupportsTriggerAvailableNow
    except ImportError:  # before 4.2; there a query for what is available now is one batch

        class SupportsTriggerAvailableNow:
            """Nothing that Spark would know."""


#: An offset: as in a Singer state, a bookmark a name, here of an account (or else of the stream).
Offset = Mapping[str, Mapping[str, Any]]

_REDACTION = "spark.sql.redaction.options.regex"
#: Options whose values Spark is not to show: credentials, and addresses of people.
#: No word of it may be one that Spark hides settings for, or it would hide this one from itself.
_SENSITIVE = "(?i)^accounts$|_api_key$|_username$|_passwor[d]$|_address$|_export_(sender|recipient)$"


def hide_credentials(session: SparkSession) -> None:
    """Let a session hide the options that hold credentials, or addresses of people, in plans.

    Spark shows a read's options in plans, and so in its user interface and event log, but for those that
    the session's setting `spark.sql.redaction.options.regex` names.
    """
    hidden = session.conf.get(_REDACTION, "")
    if _SENSITIVE not in (hidden or ""):
        session.conf.set(_REDACTION, f"{hidden}|{_SENSITIVE}" if hidden else _SENSITIVE)


class MessageHistoryDataSource(DataSource):
    """Message histories, each message with its latest status."""

    @classmethod
    def name(cls) -> str:
        """Return `msghistory`, and hide credentials.

        Registering, when the name is asked for, is the one time that the data source runs where a session
        is; in Spark's workers there is none. A thread may have none of its own: then it is the first one.
        """
        session = SparkSession.getActiveSession()
        if session is None and SparkContext._active_spark_context is not None:  # noqa: SLF001
            session = SparkSession.builder.getOrCreate()
        if session is not None:
            hide_credentials(session)
        return "msghistory"

    def schema(self) -> StructType:
        """Return the columns. All options are checked here, before anything is asked of a vendor."""
        with _told():
            return _columns(ReadOptions.parse(self.options)).struct

    def reader(self, schema: StructType) -> MessageHistoryReader:
        """Return the reader of a batch read."""
        with _told():
            return MessageHistoryReader(ReadOptions.parse(self.options), schema)

    def streamReader(self, schema: StructType) -> MessageHistoryStreamReader:  # noqa: N802
        """Return the reader of a streaming read."""
        with _told():
            return MessageHistoryStreamReader(ReadOptions.parse(self.options), schema)


@contextmanager
def _told(account: NamedAccount | None = None) -> Iterator[None]:
    """Let Spark, which shows errors with their causes, have what explains itself and quotes nothing."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, its text may quote a message
        whose = f"account {account.name}: " if account and account.name else ""
        raise TapError(f"{whose}{explained(error)}") from None


class _Reader:
    """What batch and streaming reads have in common. Is pickled, and so has neither clients nor locks."""

    def __init__(self, options: ReadOptions, schema: StructType) -> None:
        self._options = options
        self._columns = _columns(options)
        self._columns.adopt(schema)

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """Yield a partition's messages, a window at a time. Raises `TapError`."""
        part = cast("HistoryPartition", partition)
        account = self._options.accounts[part.account]
        with _told(account):
            history = account.history(self._options.stream, part.sharers)
            for batch in history.read(part.windows, begins_at_seam=part.begins_at_seam):
                if batch.rejected and not self._options.rejected_column:
                    raise TapError(
                        f"{history.name}: {len(batch.rejected)} messages of a window could not be shaped "
                        f"({batch.rejected[-1].reason}); with the option rejected set to column, such "
                        "messages are in a column of that name"
                    )
                yield self._columns.to_arrow(batch, account.name)

    def _latest(self, start: Offset | None, moment: datetime) -> Offset:
        """Return the offset that a read which begins at `moment` reaches; None: from wherever, in one go."""
        end = {**(start or {})}
        for account in self._options.accounts:
            with _told(account):
                history, key = self._planned(account)
                settings = history.account.settings
                until = floor(settings.read_until(moment))
                bookmark = _bookmark(end, key, history)
                read_to = max(bookmark.read_to, settings.schedule.start_date)
                if until <= read_to:
                    continue
                span = self._options.max_span_per_trigger
                reached = until if span is None or start is None else min(until, read_to + span)
                state: dict[str, Any] = {}
                moved = Bookmark(reached, as_of=until, read_from=bookmark.read_from)
                bookmarks.write(moved, history.sent_at, state)
                end[key] = state
        return end

    def _between(self, start: Offset, end: Offset) -> list[HistoryPartition]:
        """Cut what is to be read between two offsets. Raises `TapError`."""
        accounts = self._options.accounts
        credentials = [it.credential(self._options.stream) for it in accounts]
        cut: list[HistoryPartition] = []
        for number, account in enumerate(accounts):
            with _told(account):
                history, key = self._planned(account)
                if key not in end:
                    continue
                reached = _bookmark(end, key, history)
                schedule, bookmark = history.account.settings.schedule, _bookmark(start, key, history)
                windows = plan(bookmark, reached.as_of, schedule, history.max_span, new_until=reached.read_to)
                most = partitions.most_tasks(history, among=credentials.count(credentials[number]))
                tasks = min(most, max(1, self._options.tasks // len(accounts)))
                cut += partitions.of_history(history, windows, number, tasks)
        sharers = Counter(credentials[it.account] for it in cut)
        return [replace(it, sharers=sharers[credentials[it.account]]) for it in cut]

    def _planned(self, account: NamedAccount) -> tuple[MessageHistory, str]:
        """Return an account's history, for the driver alone, and its key in an offset."""
        stream = self._options.stream
        return account.history(stream, sharers=1), f"{stream} of {account.name}" if account.name else stream


class MessageHistoryReader(_Reader, DataSourceReader):
    """Reads what the tap's first run would."""

    def partitions(self) -> Sequence[HistoryPartition]:
        """Plan, and cut the plan into about as many messages each. Raises `TapError`."""
        # None at all is one without a value for Spark, and that cannot be read.
        return self._between({}, self._latest(None, now())) or [HistoryPartition(0, [], begins_at_seam=False)]


class MessageHistoryStreamReader(_Reader, DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Reads what the tap would run after run, with Spark's checkpoint as the state."""

    _moment: datetime | None = None

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802
        """Let what is available now be all that there is."""
        self._moment = now()

    def initialOffset(self) -> Offset:  # type: ignore[override]  # noqa: N802
        """Return that nothing has been read."""
        return {}

    def latestOffset(self, start: Offset | None = None, limit: object = None) -> Offset:  # type: ignore[override]  # noqa: N802, ARG002
        """Return how far the next micro-batch reads; before PySpark 4.2, Spark does not say from where."""
        return self._latest(start, self._moment or now())

    def partitions(self, start: Offset, end: Offset) -> Sequence[HistoryPartition]:
        """Plan what is new and what has come to an age at which it is revisited. Raises `TapError`."""
        return self._between(start, end)


def _columns(options: ReadOptions) -> Columns:
    return Columns(options.schema, account=options.has_accounts, rejected=options.rejected_column)


def _bookmark(offset: Offset, key: str, history: MessageHistory) -> Bookmark:
    try:
        start_date = history.account.settings.schedule.start_date
        return bookmarks.read(offset.get(key, {}), start_date, history.sent_at)
    except ValueError as error:
        raise TapError(f"The offset of {key} is not readable: {error}") from error
