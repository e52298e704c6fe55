"""Runs `--reconcile`: reads the ranges, logs the progress, prints the report, and sets the exit code."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable

import click

from tap_msghistory.config.account import Account
from tap_msghistory.errors import TapError
from tap_msghistory.reconciling.ranges import read_ranges
from tap_msghistory.reconciling.reconciliation import Reconciliation
from tap_msghistory.reconciling.report import render
from tap_msghistory.reconciling.results import exit_code
from tap_msghistory.syncing.progress import HEARTBEAT_SECONDS
from tap_msghistory.timestamps import parse_datetime

logger = logging.getLogger("tap-msghistory.reconcile")


def check_warehouse(account: Account, lines: Iterable[str], *, format_: str, start: str | None) -> None:
    """Compare the ranges of a file with the vendor, print the report, and exit.

    Ranges that end at or before `start` are skipped. If the check is interrupted, the results so far are
    printed. Raises `TapError`.
    """
    ranges = read_ranges(lines)
    if start is not None:
        try:
            moment = parse_datetime(start)
        except (ValueError, OverflowError) as error:
            raise TapError(
                "Option --reconcile-from must be an ISO 8601 date or time, for example 2024-01-31"
            ) from error
        ranges = [range_ for range_ in ranges if range_.end > moment]
        if not ranges:
            raise TapError("No range of the file given with --reconcile ends after --reconcile-from")
    reconciliation = Reconciliation(account, ranges)
    try:
        reconciliation.run(lambda: logger.info(reconciliation.describe()), seconds=HEARTBEAT_SECONDS)
    finally:
        if results := reconciliation.results:
            logger.info(reconciliation.describe())
            click.echo(render(results, reconciliation.requests, format_))
    sys.exit(exit_code(results))
