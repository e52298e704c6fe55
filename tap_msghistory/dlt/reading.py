"""Reads the selected histories, one after the other, and yields the tables of each window."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.runtime import signals
from dlt.extract import DltResource

from tap_msghistory.arrow import ArrowConverter
from tap_msghistory.config.account import Account
from tap_msghistory.errors import TapError, describe_error
from tap_msghistory.syncing.history_sync import HistorySync
from tap_msghistory.syncing.run import SyncRun

logger = logging.getLogger("tap-msghistory.dlt")

#: The member of a resource's state with the states of named accounts.
_ACCOUNTS = "accounts"

#: Rows to load, by the name of their resource.
Tables = dict[str, pa.Table]


def read(account: Account) -> Iterator[Tables]:
    """Yield the rows of the resources that are selected in dlt's current source.

    The bookmarks in dlt's state advance as windows are yielded. dlt discards the rows and the state of an
    extraction that fails. Raises `TapError` without a cause: dlt stores causes in its traces, and they may
    quote a message.
    """
    selected = dlt.current.source().selected_resources
    run = SyncRun(account)
    if any(_disposition(resource) == "replace" for resource in selected.values()):
        run.refuse_rereads('the write disposition "replace"')
    run.rejections.is_selected = run.rejected_messages.name in selected
    run.rejections.are_kept = False
    try:
        for source in run.sources:
            if source.name in selected:
                yield from _read_history(HistorySync(source, run, signals.raise_if_signalled), run)
    except Exception as error:  # noqa: BLE001 - its text may quote a message
        prefix = "".join(f"account {name}: " for name in account.constants.values())
        failure = TapError(f"{prefix}{describe_error(error)}")
    else:
        for line in run.progress.summary():
            logger.info(line)
        return
    raise failure  # outside of the handler, so that it has no context


def _read_history(sync: HistorySync, run: SyncRun) -> Iterator[Tables]:
    name, rejected_messages, sync_windows = sync.source.name, run.rejected_messages, run.sync_windows
    to_records = ArrowConverter(sync.source.schema).records
    to_rejections = ArrowConverter(rejected_messages.schema).rows
    to_windows = ArrowConverter(sync_windows.schema).rows
    state = _state(name, run.account)
    for batch in sync.read(state):
        tables: Tables = {}
        if batch.rejected and run.rejections.is_selected:
            tables[rejected_messages.name] = to_rejections(batch.rejected)
        if batch.records:
            tables[name] = to_records(batch.records)
            batch.records.clear()  # the table replaces them
        if batch.completed:
            tables[sync_windows.name] = to_windows([batch.completed.ledger_row])
            batch.completed.update(state)
        yield tables


def _disposition(resource: DltResource) -> Any:
    disposition = resource.write_disposition
    return disposition["disposition"] if isinstance(disposition, dict) else disposition


def _state(name: str, account: Account) -> dict[str, Any]:
    """Return the state of a history, in the form of a Singer bookmark. Each account has its own.

    Raises `TapError` if earlier loads had no account and this one has, or the other way round.
    """
    state: dict[str, Any] = dlt.current.resource_state(name)
    if state and bool(account.constants) != (_ACCOUNTS in state):
        raise TapError(
            f"The table {name} was loaded {'without' if account.constants else 'with'} the setting account, "
            "which is part of its key: use the same setting, or another pipeline and dataset"
        )
    for account_name in account.constants.values():
        state = state.setdefault(_ACCOUNTS, {}).setdefault(account_name, {})
    return state
