"""The command line `tap-msghistory-sandbox`."""

from __future__ import annotations

import argparse
import signal
import threading
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, NamedTuple

from msghistory_sandbox.clock import Clock, real_ms
from msghistory_sandbox.faults import Faults
from msghistory_sandbox.generate import DEFAULT_DAYS, DEFAULT_MESSAGES
from msghistory_sandbox.options import EdnaOptions, ExportOptions, GatewayOptions
from msghistory_sandbox.server import Sandbox
from msghistory_sandbox.times import parse_ms

DEFAULT_PORT = 8000


class OptionGroup(NamedTuple):
    """Options declared by a dataclass, and the prefix of their names."""

    title: str
    prefix: str
    declared_by: type


GROUPS = {
    "edna_options": OptionGroup("edna", "edna_", EdnaOptions),
    "gateway_options": OptionGroup("partner gateway", "gateway_", GatewayOptions),
    "export_options": OptionGroup(
        "partner gateway: exports (options that end in -next count down)", "export_", ExportOptions
    ),
    "faults": OptionGroup("faults (rates are fractions of all requests, 0 to 1)", "", Faults),
}
"""Option groups by the name of the sandbox's field."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    parts = {name: _group_values(group, options) for name, group in GROUPS.items()}
    sandbox = Sandbox.generate(
        messages=options.messages,
        seed=options.seed,
        days=options.days,
        end_ms=options.end,
        unknown_rate=options.unknown_rate,
        clock=Clock(options.clock, frozen=options.freeze),
        **parts,
    )
    try:
        with sandbox.serve(options.port):
            print(f"tap-msghistory-sandbox listens on {sandbox.url}", flush=True)  # noqa: T201
            stopped.wait()
    except OSError as error:
        parser.error(f"--port {options.port}: {error.strerror}")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser, including the options that the dataclasses declare."""
    parser = argparse.ArgumentParser(
        prog="tap-msghistory-sandbox",
        description="Serve an emulation of edna Pulse's and the partner gateway's message history "
        "APIs on 127.0.0.1, with synthetic data. It is not the vendors' own software. Prints its URL "
        "when it is ready; stops on SIGINT or SIGTERM.",
    )
    for name, default, text in (
        ("--messages", DEFAULT_MESSAGES, "number of messages in each vendor's history"),
        ("--seed", 0, "random seed; the same seed and end produce the same messages and faults"),
        ("--days", DEFAULT_DAYS, "number of days that the histories cover"),
        ("--port", DEFAULT_PORT, "TCP port; 0 selects a free port"),
    ):
        parser.add_argument(
            name, type=non_negative_int, default=default, metavar="N", help=f"{text} (default: {default})"
        )
    parser.add_argument(
        "--end",
        type=timestamp,
        metavar="TIME",
        help="send time of the last message: ISO 8601 with an offset, or seconds relative to now, "
        "for example --end=-3600 (default: now)",
    )
    parser.add_argument(
        "--clock",
        type=timestamp,
        metavar="TIME",
        help="initial time of the sandbox's clock, in the same formats as --end; messages sent later "
        "are not visible yet (default: now)",
    )
    parser.add_argument(
        "--unknown-rate",
        type=float,
        default=0.0,
        metavar="N",
        help="share of messages with undocumented fields, or with documented fields of an unexpected type "
        "(default: 0.0)",
    )
    parser.add_argument("--freeze", action="store_true", help="freeze the sandbox's clock")
    for group in GROUPS.values():
        _add_options(parser.add_argument_group(group.title), group)
    return parser


def _add_options(parser: argparse._ArgumentGroup, group: OptionGroup) -> None:
    for field in fields(group.declared_by):
        if not field.metadata:
            continue
        name = f"--{group.prefix}{field.name}".replace("_", "-")
        text = field.metadata["help"]
        if isinstance(field.default, bool):
            parser.add_argument(name, action="store_true", help=text)
            continue
        if field.default is not None:
            text += f" (default: {field.default})"
        kind = field.metadata["kind"] or type(field.default)
        choices = field.metadata["choices"]
        metavar = None if choices else "X" if kind is str else "N"
        parser.add_argument(
            name, type=kind, choices=choices, default=field.default, metavar=metavar, help=text
        )


def _group_values(group: OptionGroup, options: argparse.Namespace) -> Any:
    """Build a group's dataclass from the parsed options."""
    names = [field.name for field in fields(group.declared_by) if field.init]
    return group.declared_by(**{name: getattr(options, group.prefix + name) for name in names})


def non_negative_int(text: str) -> int:
    """Parse an integer of at least 0."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def timestamp(text: str) -> int:
    """Parse ISO 8601 or seconds relative to now. Return epoch ms."""
    try:
        return real_ms() + round(float(text) * 1000)
    except ValueError:
        pass
    try:
        return parse_ms(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
