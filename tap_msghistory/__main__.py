"""The command `tap-msghistory`; `python -m tap_msghistory` is the same."""

from __future__ import annotations

import logging
import os
import sys
from importlib.metadata import version

from tap_msghistory.startup import importing

_LOG_LEVELS = "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"


def _check_log_level() -> None:
    """Replace an unknown log level: the variable may be meant for another program."""
    for name in ("TAP_MSGHISTORY_LOGLEVEL", "LOGLEVEL"):
        level = os.environ.get(name)
        if level and not isinstance(logging.getLevelName(level.upper()), int):
            os.environ[name] = "INFO"
            print(f"{name} must be one of {', '.join(_LOG_LEVELS)}; INFO is used", file=sys.stderr)  # noqa: T201


def main() -> None:
    """Run the tap. `--version` is answered without importing it, because schedulers call it often."""
    if sys.argv[1:] == ["--version"]:
        print(f"tap-msghistory v{version('tap-msghistory')}, Meltano SDK v{version('singer-sdk')}")  # noqa: T201
        return
    _check_log_level()
    with importing():
        from tap_msghistory.tap import TapMessageHistory  # noqa: PLC0415
    TapMessageHistory.cli()


if __name__ == "__main__":
    main()
