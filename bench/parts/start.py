"""CPU time, wall time and memory of short commands."""

from __future__ import annotations

from bench.commands import temporary_commands
from bench.measure import alternate
from bench.report import Section, Target
from bench.scale import Scale
from bench.serving import History, serve
from demo.processes import Command

EMPTY_SYNC = "sync without messages"
MAX_CPU_S = 1


def run(scale: Scale) -> Section:
    """Measure short commands of the stock tap and the tap."""
    with serve(History(messages=0)) as served, temporary_commands() as available:
        commands: dict[str, Command] = {}
        for tap, command in (
            ("stock SDK tap", available.stock_tap(served)),
            ("tap-msghistory", available.tap(served)),
        ):
            commands[f"{tap}: --version"] = [*command, "--version"]
            commands[f"{tap}: --discover"] = [*command, "--discover"]
            commands[f"{tap}: {EMPTY_SYNC}"] = command
        usages = alternate(commands, scale.start_repetitions)
    empty_sync_s = usages[f"tap-msghistory: {EMPTY_SYNC}"].cpu_s
    return Section(
        "Startup",
        "Whole processes. The sync sends one request, and the response contains no messages.",
        ["", "CPU s", "wall s", "peak MiB"],
        [
            [name, f"{usage.cpu_s:.2f}", f"{usage.wall_s:.2f}", f"{usage.peak_mib:.0f}"]
            for name, usage in usages.items()
        ],
        targets=[
            Target(
                f"A sync without messages takes less than {MAX_CPU_S} s of CPU time",
                f"{empty_sync_s:.2f} s",
                empty_sync_s < MAX_CPU_S,
            )
        ],
    )
