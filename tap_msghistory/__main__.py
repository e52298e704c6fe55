"""The command `tap-msghistory`; `python -m tap_msghistory` is the same."""

from __future__ import annotations

import gc
import sys
from importlib.metadata import version


def main() -> None:
    """Run the tap; its version alone is told without loading it, as schedulers ask for it often."""
    if sys.argv[1:] == ["--version"]:
        print(f"tap-msghistory v{version('tap-msghistory')}, Meltano SDK v{version('singer-sdk')}")  # noqa: T201
        return
    # What is imported stays. To search it for garbage, again and again, is a quarter of a start's work.
    gc.disable()
    from tap_msghistory.tap import TapMessageHistory  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    TapMessageHistory.cli()


if __name__ == "__main__":
    main()
