"""The command `python -m msghistory_report`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from msghistory_report.errors import ReportError

_DEFAULT_DAYS = 90
_MAX_DAYS = 366
"""With more, the page would exceed three megabytes."""
_DSN_VARIABLE = "MSGHISTORY_DSN"


def main(arguments: list[str] | None = None) -> int:
    """Make a report. Return the exit code: 1 for an error; argparse exits with 2 for a wrong command line."""
    options = _parser().parse_args(arguments)
    try:
        _make(options)
    except ReportError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    except BrokenPipeError:  # the consumer of stdout has stopped reading
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _make(options: argparse.Namespace) -> None:
    dsn = options.dsn or os.environ.get(_DSN_VARIABLE)
    if not dsn:
        raise ReportError(f"Name the warehouse with --dsn or the environment variable {_DSN_VARIABLE}")
    try:
        from msghistory_report.report import report  # noqa: PLC0415 - slow to import
    except ImportError as error:
        raise ReportError(
            "The report requires the extra report: pip install 'tap-msghistory[report]'"
        ) from error
    from msghistory_report.database import opened  # noqa: PLC0415

    with opened(dsn, options.schema) as warehouse:
        page = report(warehouse, days=options.days)
    if options.output == Path("-"):
        sys.stdout.buffer.write(page.encode())
        sys.stdout.flush()
        return
    try:
        options.output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise ReportError(f"The report cannot be written to {options.output}: {error.strerror}") from error
    print(f"Report: {options.output.resolve()}")  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m msghistory_report",
        description="Make a delivery report, one HTML page, from the models of the dbt package msghistory.",
    )
    parser.add_argument(
        "--dsn",
        metavar="URL",
        help="warehouse: postgresql://user:password@host/database or duckdb:///file, with four slashes "
        "for an absolute path. Default: the "
        f"environment variable {_DSN_VARIABLE}, which hides a password from other users of the machine",
    )
    parser.add_argument(
        "--schema", default="msghistory_marts", help="schema of the models (default: %(default)s)"
    )
    parser.add_argument(
        "--days",
        type=_days,
        default=_DEFAULT_DAYS,
        metavar="N",
        help="number of days up to the last message (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("report.html"),
        metavar="FILE",
        help="file to write; - is stdout (default: %(default)s)",
    )
    return parser


def _days(text: str) -> int:
    try:
        days = int(text)
    except ValueError:
        days = 0
    if not 0 < days <= _MAX_DAYS:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {_MAX_DAYS}")
    return days


if __name__ == "__main__":
    sys.exit(main())
