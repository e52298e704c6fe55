"""The command `tap-msghistory-sandbox`; `python -m msghistory_sandbox` is the same."""

from __future__ import annotations

import sys


def main() -> None:
    """Serve until stopped. Exits with one line if the extra `sandbox` is not installed."""
    try:
        import msghistory_sandbox  # noqa: PLC0415

        msghistory_sandbox.Sandbox  # noqa: B018 - imports the server
        from msghistory_sandbox.cli import main as run  # noqa: PLC0415
    except ImportError as error:
        sys.exit(str(error))
    run()


if __name__ == "__main__":
    main()
