"""What a start costs, before the first message."""

from __future__ import annotations

from bench.contestants import contestants
from bench.measure import alternate
from bench.report import Claim, Section
from bench.scale import Scale
from bench.serving import History, serve
from demo.processes import Command

NOTHING = "a sync of nothing"
MOST_CPU_S = 1


def run(scale: Scale) -> Section:
    """Measure starts of the stock tap and of ours."""
    with serve(History(messages=0)) as served, contestants() as all_:
        commands: dict[str, Command] = {}
        for tap, command in (
            ("stock SDK tap", all_.stock(served)),
            ("tap-msghistory", all_.ours(served)),
        ):
            commands[f"{tap}: --version"] = [*command, "--version"]
            commands[f"{tap}: --discover"] = [*command, "--discover"]
            commands[f"{tap}: {NOTHING}"] = command
        usages = alternate(commands, scale.start_repetitions)
    nothing_s = usages[f"tap-msghistory: {NOTHING}"].cpu_s
    return Section(
        "Start",
        "Whole processes; the sync asks once and is told that there is nothing.",
        ["", "CPU s", "wall s", "peak MiB"],
        [
            [name, f"{usage.cpu_s:.2f}", f"{usage.wall_s:.2f}", f"{usage.peak_mib:.0f}"]
            for name, usage in usages.items()
        ],
        [
            Claim(
                f"A sync of nothing under {MOST_CPU_S} s of CPU", f"{nothing_s:.2f} s", nothing_s < MOST_CPU_S
            )
        ],
    )
