"""The command `tap-msghistory`; `python -m tap_msghistory` is the same."""

from __future__ import annotations

import gc
import logging
import os
import sys
from importlib.metadata import version

_ALLOCATIONS_A_COLLECTION = 100_000
_LOG_LEVELS = "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"


def _check_log_level() -> None:
    """Replace a level that logging does not know: it may be meant for another program."""
    for name in ("TAP_MSGHISTORY_LOGLEVEL", "LOGLEVEL"):
        level = os.environ.get(name)
        if level and not isinstance(logging.getLevelName(level.upper()), int):
            os.environ[name] = "INFO"
            print(f"{name} must be one of {', '.join(_LOG_LEVELS)}; INFO is used", file=sys.stderr)  # noqa: T201


def main() -> None:
    """Run the tap; its version alone is told without loading it, as schedulers ask for it often."""
    if sys.argv[1:] == ["--version"]:
        print(f"tap-msghistory v{version('tap-msghistory')}, Meltano SDK v{version('singer-sdk')}")  # noqa: T201
        return
    # What is imported stays. To search it for garbage, again and again, is a quarter of a start's work.
    gc.disable()
    _check_log_level()
    from tap_msghistory.tap import TapMessageHistory  # noqa: PLC0415

    gc.freeze()
    # Rows of a page come by the thousand, and none is part of a cycle.
    gc.set_threshold(_ALLOCATIONS_A_COLLECTION)
    gc.enable()
    TapMessageHistory.cli()


if __name__ == "__main__":
    main()
