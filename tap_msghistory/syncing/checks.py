"""Checks the credentials of an account."""

from __future__ import annotations

import logging
from functools import partial

from tap_msghistory.config.account import Account
from tap_msghistory.syncing.history_sync import HistorySync
from tap_msghistory.syncing.run import SyncRun

logger = logging.getLogger("tap-msghistory.checks")


def check_vendors(account: Account) -> list[Exception]:
    """Send one small request to each configured vendor, and return the failures."""
    # Whatever ranges a run would reread, the credentials are checked.
    account = Account({name: value for name, value in account.config.items() if name != "reread"})
    account.limit_waits()
    run = SyncRun(account)
    # The first stream of each vendor, in the order of the streams.
    sources = {source.vendor: source for source in reversed(run.sources)}
    for source in reversed(sources.values()):
        run.failures.guard(source.name, source.client, partial(_check, HistorySync(source, run)))
    return [*run.failures.errors.values()]


def _check(sync: HistorySync) -> None:
    logger.info("%s: %s", sync.source.name, sync.check({}))
