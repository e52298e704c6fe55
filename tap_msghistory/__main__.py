"""The command `tap-msghistory`; `python -m tap_msghistory` is the same."""

from __future__ import annotations

import sys
from importlib.metadata import version


def main() -> None:
    """Run the tap; its version alone is told without loading it, as schedulers ask for it often."""
    if sys.argv[1:] == ["--version"]:
        print(f"tap-msghistory v{version('tap-msghistory')}, Meltano SDK v{version('singer-sdk')}")  # noqa: T201
        return
    from tap_msghistory.tap import TapMessageHistory  # noqa: PLC0415

    TapMessageHistory.cli()


if __name__ == "__main__":
    main()
