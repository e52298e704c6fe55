"""What a command takes: CPU, wall clock and memory, of the command alone and whole."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import NamedTemporaryFile

from bench.serving import HOST, REPOSITORY
from demo.processes import Command, CommandError, running, tail

MIB = 2**20 if sys.platform == "darwin" else 2**10
"""In the unit in which the system tells the peak of memory."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Of a process from its start to its end."""

    cpu_s: float
    """User and system time."""
    wall_s: float
    peak_mib: float
    """Resident memory. Linux counts from that of the process that started it: keep this one lean."""


def measure(command: Command) -> Usage:
    """Run a command with its output going nowhere; CommandError if it fails."""
    began = time.perf_counter()
    with _started(command, subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    return Usage(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / MIB)


def alternate(commands: Mapping[str, Command], repetitions: int) -> dict[str, Usage]:
    """Run the commands in turn, so that all have the machine's good and bad moments; return medians."""
    runs: dict[str, list[Usage]] = {name: [] for name in commands}
    for _ in range(repetitions):
        for name, command in commands.items():
            runs[name].append(measure(command))
    return {name: _median(usages) for name, usages in runs.items()}


def check(command: Command, messages: int) -> None:
    """Run a command once, unmeasured; CommandError unless it writes so many messages, a line each."""
    with _started(command, subprocess.PIPE) as process:
        lines = process.stdout or ()
        found = sum(b'"messageId"' in line and b'"key_properties"' not in line for line in lines)
        process.wait()
    if found != messages:
        raise CommandError(f"{_name(command)} wrote {found:,} of {messages:,} messages")


@contextmanager
def _started(command: Command, stdout: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command, which is to have ended at the end of the block; CommandError if it fails."""
    with NamedTemporaryFile(prefix="msghistory-bench-") as log:
        with running(command, stdout=stdout, stderr=log, cwd=REPOSITORY, env=_env()) as process:
            yield process
        if process.returncode:
            raise CommandError(f"{_name(command)} failed ({process.returncode}):\n{tail(Path(log.name))}")


def _median(usages: list[Usage]) -> Usage:
    return Usage(
        median(it.cpu_s for it in usages),
        median(it.wall_s for it in usages),
        median(it.peak_mib for it in usages),
    )


def _name(command: Command) -> str:
    return " ".join(Path(part).name for part in command[:3])


def _env() -> dict[str, str]:
    """Keep what goes to the server off a proxy, and Python as fast as it is by itself."""
    # PYTHONUNBUFFERED makes each line a system call, PYTHONDONTWRITEBYTECODE each start a compilation.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") or k == "PYTHONPATH"}
    return {**inherited, "no_proxy": HOST, "NO_PROXY": HOST}
