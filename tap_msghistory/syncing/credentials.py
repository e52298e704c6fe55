"""The check of an account's credentials."""

from __future__ import annotations

import logging

from tap_msghistory.config.account import Account, Vendor
from tap_msghistory.errors import FatalError
from tap_msghistory.syncing.history_sync import HistorySync
from tap_msghistory.syncing.run import SyncRun

logger = logging.getLogger("tap-msghistory.checks")


def check_vendors(account: Account) -> list[Exception]:
    """Send one small request to each configured vendor, and return the failures. Raises `FatalError`."""
    # `reread` does not affect the credentials, but may leave nothing to request.
    account = Account({name: value for name, value in account.config.items() if name != "reread"})
    account.limit_waits()
    run, checked, errors = SyncRun(account), set[Vendor](), list[Exception]()
    for source in run.sources:
        if source.vendor in checked:
            continue
        checked.add(source.vendor)
        try:
            logger.info("%s: %s", source.name, HistorySync(source, run).check({}))
        except FatalError:  # the log lines can no longer be written
            raise
        except Exception as error:  # noqa: BLE001 - the other vendor is checked regardless
            errors.append(error)
    return errors
