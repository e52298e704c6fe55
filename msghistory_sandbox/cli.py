"""`tap-msghistory-sandbox`: the sandbox from the command line."""

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


class Group(NamedTuple):
    """Options that a dataclass declares, and how their names begin."""

    title: str
    prefix: str
    declared: type


GROUPS = {
    "edna_options": Group("edna", "edna_", EdnaOptions),
    "gateway_options": Group("partner gateway", "gateway_", GatewayOptions),
    "export_options": Group("partner gateway: exports", "export_", ExportOptions),
    "faults": Group("faults (rates are shares of the requests, 0 to 1)", "", Faults),
}
"""By the sandbox's field."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to stop."""
    parser = build_parser()
    chosen = parser.parse_args(arguments)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    parts = {name: _filled(group, chosen) for name, group in GROUPS.items()}
    sandbox = Sandbox.generate(
        messages=chosen.messages,
        seed=chosen.seed,
        days=chosen.days,
        end_ms=chosen.end,
        unknown_rate=chosen.unknown_rate,
        clock=Clock(chosen.clock, frozen=chosen.freeze),
        **parts,
    )
    try:
        with sandbox.serve(chosen.port):
            print(f"tap-msghistory-sandbox listens on {sandbox.url}", flush=True)  # noqa: T201
            stopped.wait()
    except OSError as problem:
        parser.error(f"--port {chosen.port}: {problem.strerror}")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; the options of the groups come from their dataclasses."""
    parser = argparse.ArgumentParser(
        prog="tap-msghistory-sandbox",
        description="Serve an imitation of edna Pulse's and the partner gateway's message history "
        "APIs on 127.0.0.1, with made-up data. It is ours, not the vendors'. Prints its URL when "
        "it is ready; stops on SIGINT or SIGTERM.",
    )
    for name, default, text in (
        ("--messages", DEFAULT_MESSAGES, "in each vendor's history"),
        ("--seed", 0, "the same seed and end give the same messages and faults"),
        ("--days", DEFAULT_DAYS, "that the histories cover"),
        ("--port", DEFAULT_PORT, "0 for any that is free"),
    ):
        parser.add_argument(
            name, type=_natural, default=default, metavar="N", help=f"{text} (default: {default})"
        )
    parser.add_argument(
        "--end",
        type=_moment,
        metavar="TIME",
        help="when the last message is sent: ISO 8601 with an offset, or seconds from now, "
        "as --end=-3600 (default: now)",
    )
    parser.add_argument(
        "--clock",
        type=_moment,
        metavar="TIME",
        help="what time it is in the sandbox at the start, said in the same ways; what is later "
        "is not there yet (default: now)",
    )
    parser.add_argument(
        "--unknown-rate",
        type=float,
        default=0.0,
        metavar="N",
        help="share of the messages with fields that no documentation shows, or of another type "
        "(default: 0.0)",
    )
    parser.add_argument("--freeze", action="store_true", help="let the sandbox's clock stand still")
    for group in GROUPS.values():
        _add_options(parser.add_argument_group(group.title), group)
    return parser


def _add_options(parser: argparse._ArgumentGroup, group: Group) -> None:
    for item in fields(group.declared):
        if not item.metadata:
            continue
        name = f"--{group.prefix}{item.name}".replace("_", "-")
        text = item.metadata["help"]
        if isinstance(item.default, bool):
            parser.add_argument(name, action="store_true", help=text)
            continue
        if item.default is not None:
            text += f" (default: {item.default})"
        kind = item.metadata["kind"] or type(item.default)
        choices = item.metadata["choices"]
        metavar = None if choices else "X" if kind is str else "N"
        parser.add_argument(
            name, type=kind, choices=choices, default=item.default, metavar=metavar, help=text
        )


def _filled(group: Group, chosen: argparse.Namespace) -> Any:
    """Fill a dataclass from the options that it declares."""
    names = [item.name for item in fields(group.declared) if item.init]
    return group.declared(**{name: getattr(chosen, group.prefix + name) for name in names})


def _natural(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def _moment(text: str) -> int:
    """Epoch ms of a time given as ISO 8601 or as seconds from now."""
    try:
        return real_ms() + round(float(text) * 1000)
    except ValueError:
        pass
    try:
        return parse_ms(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None
