"""The command `source-msghistory`; `python -m tap_msghistory.airbyte` is the same."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from pathlib import Path
from types import FrameType

from tap_msghistory.startup import importing


def main() -> None:
    """Run a command of Airbyte's protocol. Exit code 1 reports a failure, 128 + n a stop by signal n."""
    sys.exit(_run(_parser().parse_args()))


def _run(arguments: argparse.Namespace) -> int:
    with importing():
        try:
            import airbyte_protocol_dataclasses  # noqa: F401, PLC0415
        except ImportError:
            sys.exit("source-msghistory requires the extra airbyte: pip install 'tap-msghistory[airbyte]'")
        from tap_msghistory.airbyte import commands  # noqa: PLC0415
        from tap_msghistory.airbyte.messages import LogHandler, MessageWriter  # noqa: PLC0415
        from tap_msghistory.errors import StoppedBySignal  # noqa: PLC0415
        from tap_msghistory.output import OutputError  # noqa: PLC0415

    writer = MessageWriter()

    def stop(signum: int, _: FrameType | None) -> None:
        writer.stop(StoppedBySignal(signum))

    tap_logger = logging.getLogger("tap-msghistory")
    tap_logger.setLevel(logging.DEBUG if arguments.debug else logging.INFO)
    tap_logger.addHandler(LogHandler(writer))
    # The log records of libraries may quote messages.
    logging.getLogger().addHandler(logging.NullHandler())
    # The other commands write little and can be interrupted at any time.
    signals = _signals() if arguments.command == "read" else []
    for signum in signals:
        signal.signal(signum, stop)
    try:
        return commands.run(arguments, writer)
    except StoppedBySignal as stopped:
        # The default action makes the signal visible to the parent, which may have sent it.
        signal.signal(stopped.signum, signal.SIG_DFL)
        signal.raise_signal(stopped.signum)
        return 128 + stopped.signum  # the first process of a container ignores the default action
    except OutputError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    finally:
        for signum in signals:
            signal.signal(signum, signal.SIG_DFL)


def _signals() -> list[int]:
    """Return the signals that stop a read, unless they are ignored, as SIGHUP by nohup."""
    numbers = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
    return [number for number in numbers if number and signal.getsignal(number) is not signal.SIG_IGN]


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line that the protocol defines."""
    parser = argparse.ArgumentParser(
        prog="source-msghistory",
        description="Read the message histories of edna Pulse and of the Qlara partner gateway as an Airbyte "
        "source. Messages are written to stdout.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, options in (
        ("spec", ()),
        ("check", ("config",)),
        ("discover", ("config",)),
        ("read", ("config", "catalog", "state")),
    ):
        command = commands.add_parser(name)
        command.add_argument("--debug", action="store_true", help="also write debug logs")
        for option in options:
            command.add_argument(f"--{option}", type=Path, required=option != "state", metavar="FILE")
    return parser


if __name__ == "__main__":
    main()
