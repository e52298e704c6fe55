"""Entry point of `tap-msghistory-sandbox` and of `python -m msghistory_sandbox`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. Exit with a one-line message if the extra `sandbox` is not installed."""
    try:
        import msghistory_sandbox  # noqa: PLC0415

        msghistory_sandbox.Sandbox  # noqa: B018 - imports the server
        from msghistory_sandbox.cli import main as run  # noqa: PLC0415
    except ImportError as error:
        sys.exit(str(error))
    run()


if __name__ == "__main__":
    main()
