"""The command `source-msghistory`; `python -m tap_msghistory.airbyte` is the same."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from tap_msghistory.startup import importing

_FILES = {"spec": (), "check": ("config",), "discover": ("config",), "read": ("config", "catalog", "state")}


def main() -> None:
    """Run a command of Airbyte's protocol. Exit code 1 reports a failure, 128 + n a stop by signal n."""
    arguments = _parser().parse_args()
    with importing():
        try:
            import airbyte_protocol_dataclasses  # noqa: F401, PLC0415
        except ImportError:
            sys.exit("source-msghistory requires the extra airbyte: pip install 'tap-msghistory[airbyte]'")
        from tap_msghistory.airbyte import commands  # noqa: PLC0415
        from tap_msghistory.airbyte.messages import MessageWriter  # noqa: PLC0415
        from tap_msghistory.errors import StoppedBySignal  # noqa: PLC0415
        from tap_msghistory.output import OutputError  # noqa: PLC0415
        from tap_msghistory.signals import stopping  # noqa: PLC0415
    writer = MessageWriter()
    writer.receive_logs(debug=arguments.debug)
    try:
        with stopping(writer.stop):
            sys.exit(commands.run(arguments, writer))
    except StoppedBySignal as stopped:
        # The default action makes the signal visible to the parent, which may have sent it.
        signal.raise_signal(stopped.signum)
        sys.exit(128 + stopped.signum)  # the first process of a container ignores the default action
    except OutputError as error:
        sys.exit(str(error))


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line that the protocol defines."""
    parser = argparse.ArgumentParser(
        prog="source-msghistory",
        description="Read the message histories of edna Pulse and of the Qlara partner gateway as an Airbyte "
        "source. Messages are written to stdout.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, files in _FILES.items():
        command = commands.add_parser(name)
        command.add_argument("--debug", action="store_true", help="also write debug logs")
        for file in files:
            command.add_argument(f"--{file}", type=Path, required=file != "state", metavar="FILE")
    return parser


if __name__ == "__main__":
    main()
