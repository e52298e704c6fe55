"""CPU time and wall time for a complete history, from a server without latency."""

from __future__ import annotations

from bench.commands import Vendor, temporary_commands
from bench.measure import Usage, alternate, check
from bench.report import Section, Target
from bench.scale import Scale
from bench.serving import History, serve

MIN_SPEEDUP = 10
"""Over the stock tap, in CPU time and in wall time."""
MIN_PLAIN_SCRIPT_RATIO = 0.7
"""CPU time of the plain script divided by that of the tap."""
MAX_AIRBYTE_RATIO = 1.2
"""Wall time of the Airbyte source divided by that of the tap."""
NAMES: dict[Vendor, str] = {"edna": "edna", "gateway": "gateway channel"}


def run(scale: Scale) -> Section:
    """Measure the stock tap, the plain script and the tap, for both vendors."""
    section = Section(
        "CPU",
        f"{scale.cpu:,} messages, no latency, output discarded; whole processes, including startup. The "
        "plain script only fetches and prints; the stock tap is written like the SDK's template.",
        ["", "CPU s", "µs per message", "wall s", "messages/s", "peak MiB"],
    )
    with serve(History(messages=scale.cpu)) as served, temporary_commands() as available:
        for vendor, name in NAMES.items():
            commands = {
                "stock SDK tap": available.stock_tap(served, vendor),
                "plain script": available.plain_script(served, vendor),
                "tap-msghistory": available.tap(served, vendor),
                "source-msghistory (Airbyte)": available.airbyte_source(served, vendor),
            }
            for command in commands.values():
                check(command, scale.cpu)
            usages = alternate(commands, scale.repetitions)
            section.rows += [
                [f"{name}: {command}", *_cells(usage, scale.cpu)] for command, usage in usages.items()
            ]
            _add_ratios(section, name, [*usages.values()])
    return section


def _cells(usage: Usage, messages: int) -> list[str]:
    return [
        f"{usage.cpu_s:.2f}",
        f"{usage.cpu_s / messages * 1e6:.1f}",
        f"{usage.wall_s:.2f}",
        f"{messages / usage.wall_s:,.0f}",
        f"{usage.peak_mib:.0f}",
    ]


def _add_ratios(section: Section, name: str, usages: list[Usage]) -> None:
    stock, plain, tap, airbyte = usages
    stock_cpu, stock_wall = stock.cpu_s / tap.cpu_s, stock.wall_s / tap.wall_s
    plain_cpu, plain_wall = plain.cpu_s / tap.cpu_s, plain.wall_s / tap.wall_s
    airbyte_cpu, airbyte_wall = airbyte.cpu_s / tap.cpu_s, airbyte.wall_s / tap.wall_s
    section.findings += [
        f"{name}: stock SDK tap relative to the tap: {stock_cpu:.1f} times by CPU, {stock_wall:.1f} by wall",
        f"{name}: plain script relative to the tap: {plain_cpu:.2f} times by CPU, {plain_wall:.2f} by wall",
        (
            f"{name}: Airbyte source relative to the tap: {airbyte_cpu:.2f} times by CPU, "
            f"{airbyte_wall:.2f} by wall"
        ),
    ]
    section.targets += [
        Target(
            f"{name}: at least {MIN_SPEEDUP} times as fast as the stock tap, by CPU and by wall time",
            f"{stock_cpu:.1f} and {stock_wall:.1f} times",
            min(stock_cpu, stock_wall) >= MIN_SPEEDUP,
        ),
        Target(
            f"{name}: CPU time of the plain script at least {MIN_PLAIN_SCRIPT_RATIO} times that of the tap",
            f"{plain_cpu:.2f} times",
            plain_cpu >= MIN_PLAIN_SCRIPT_RATIO,
        ),
        Target(
            f"{name}: the Airbyte source takes at most {MAX_AIRBYTE_RATIO} times as long as the tap",
            f"{airbyte_wall:.2f} times",
            airbyte_wall <= MAX_AIRBYTE_RATIO,
        ),
    ]
