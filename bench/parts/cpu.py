"""CPU and wall clock for a whole history, from a server that answers at once."""

from __future__ import annotations

from bench.contestants import Vendor, contestants
from bench.measure import Usage, alternate, check
from bench.report import Claim, Section
from bench.scale import Scale
from bench.serving import History, serve

OF_STOCK = 10
OF_PLAIN = 0.7
NAMES: dict[Vendor, str] = {"edna": "edna", "gateway": "a gateway channel"}


def run(scale: Scale) -> Section:
    """Measure the three side by side, for both vendors."""
    section = Section(
        "CPU",
        f"{scale.cpu:,} messages, no latency, output to nowhere; whole processes, start included. The plain "
        "script fetches and prints, no more; the stock tap is written as the SDK's template has it.",
        ["", "CPU s", "µs a message", "wall s", "messages/s", "peak MiB"],
    )
    with serve(History(messages=scale.cpu)) as served, contestants() as all_:
        for vendor, name in NAMES.items():
            commands = {
                "stock SDK tap": all_.stock(served, vendor),
                "plain script": all_.plain(served, vendor),
                "tap-msghistory": all_.ours(served, vendor),
            }
            for command in commands.values():
                check(command, scale.cpu)
            usages = alternate(commands, scale.repetitions)
            section.rows += [[f"{name}: {it}", *_cells(usages[it], scale.cpu)] for it in commands]
            section.claims += _claims(name, *usages.values())
    return section


def _cells(usage: Usage, messages: int) -> list[str]:
    return [
        f"{usage.cpu_s:.2f}",
        f"{usage.cpu_s / messages * 1e6:.1f}",
        f"{usage.wall_s:.2f}",
        f"{messages / usage.wall_s:,.0f}",
        f"{usage.peak_mib:.0f}",
    ]


def _claims(name: str, stock: Usage, plain: Usage, ours: Usage) -> list[Claim]:
    cpu, wall = stock.cpu_s / ours.cpu_s, stock.wall_s / ours.wall_s
    of_plain = plain.cpu_s / ours.cpu_s
    return [
        Claim(
            f"{name}: at least {OF_STOCK} times the stock tap by CPU and by wall",
            f"{cpu:.1f} and {wall:.1f} times",
            min(cpu, wall) >= OF_STOCK,
        ),
        Claim(
            f"{name}: at least {OF_PLAIN} of the plain script by CPU",
            f"{of_plain:.2f} (by wall {plain.wall_s / ours.wall_s:.2f})",
            of_plain >= OF_PLAIN,
        ),
    ]
