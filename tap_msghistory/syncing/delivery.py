"""Delivers histories to an interface that emits them, in an order in which nothing is lost.

The Airbyte source is such an interface. Others are driven by their platform: dlt requests one table after the
other, and the Singer SDK one stream after the other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from tap_msghistory.errors import FatalError, StoppedBySignal
from tap_msghistory.output import OutputError
from tap_msghistory.reading.source import HistorySource
from tap_msghistory.syncing.declarations import AuxiliaryDeclaration
from tap_msghistory.syncing.history_sync import HistorySync
from tap_msghistory.syncing.run import SyncRun

logger = logging.getLogger("tap-msghistory.delivery")


class Output(Protocol):
    """Emits one stream."""

    is_complete: bool  #: whether an earlier attempt at this full refresh has read the stream
    bookmark: dict[str, Any]  #: where to start (empty: at start_date), and then the end of what was written

    def start(self) -> None:
        """Begin the stream."""

    def write(self, records: Sequence[Any]) -> None:
        """Emit records: Structs of a history, or rows of an auxiliary stream."""

    def write_state(self) -> None:
        """Emit the bookmark, which covers everything that has been written."""

    def complete(self) -> None:
        """End the stream, which was read to its end."""

    def abort(self) -> None:
        """End the stream if it has begun and was not read to its end."""


def deliver(run: SyncRun, outputs: Mapping[str, Output], check_output: Callable[[], None]) -> None:
    """Read the streams in `outputs`, keyed by name, one after the other.

    The failures of single histories are kept in `run.failures`. `check_output` is called about once per
    second while nothing can be emitted. Raises `FatalError`, and `StoppedBySignal`.
    """
    run.rejections.is_selected = run.rejected_messages.name in outputs
    auxiliary = [outputs[stream.name] for stream in run.auxiliary if stream.name in outputs]
    sources = {source.name: source for source in run.sources}
    try:
        for output in auxiliary:
            output.start()
        for name, output in outputs.items():
            if source := sources.get(name):
                output.start()
                deliver_history = partial(_deliver_history, run, source, outputs, check_output)
                run.failures.guard(name, source.client, deliver_history)
                output.abort()
        for output in auxiliary:
            output.complete()
    except OutputError:
        raise
    except (FatalError, StoppedBySignal):
        for output in outputs.values():
            output.abort()
        raise


def _deliver_history(
    run: SyncRun, source: HistorySource, outputs: Mapping[str, Output], check_output: Callable[[], None]
) -> None:
    output = outputs[source.name]
    if output.is_complete:
        logger.warning(
            "%s is skipped: by its state, this full refresh is complete. To read it again, start without a "
            "state",
            source.name,
        )
        output.complete()
        return
    for batch in HistorySync(source, run, check_output).read(output.bookmark):
        _write_rows(outputs, run.rejected_messages, batch.rejected)
        output.write(batch.records)
        if batch.completed:
            # Everything that a state covers precedes it.
            _write_rows(outputs, run.sync_windows, [batch.completed.ledger_row])
            batch.completed.update(output.bookmark)
            output.write_state()
    output.complete()


def _write_rows(
    outputs: Mapping[str, Output], stream: AuxiliaryDeclaration, rows: list[dict[str, Any]]
) -> None:
    """Write rows of an auxiliary stream, with their state, if it is selected."""
    output, key = outputs.get(stream.name), stream.replication_key
    if output and rows:
        output.write(rows)
        output.bookmark = {"replication_key": key, "replication_key_value": rows[-1][key]}
        output.write_state()
