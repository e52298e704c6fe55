"""CPU time, wall time and peak memory of commands, from process start to exit."""

from __future__ import annotations

import os
import resource
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

MAXRSS_PER_MIB = 2**20 if sys.platform == "darwin" else 2**10
"""`ru_maxrss` is in bytes on macOS and in KiB on Linux."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Resource usage of one process over its lifetime."""

    cpu_s: float
    """User and system time."""
    wall_s: float
    peak_mib: float
    """Peak resident memory. On Linux it is at least that of the parent at fork: keep this process small."""


def measure(command: Command) -> Usage:
    """Run a command and discard its output. Raises CommandError if it fails."""
    started_at = time.perf_counter()
    with _started(command, subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started_at
        process.returncode = os.waitstatus_to_exitcode(status)
    return Usage(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / MAXRSS_PER_MIB)


def alternate(commands: Mapping[str, Command], repetitions: int) -> dict[str, Usage]:
    """Run the commands alternately, so that load from other programs affects all of them; return medians."""
    runs: dict[str, list[Usage]] = {name: [] for name in commands}
    for _ in range(repetitions):
        for name, command in commands.items():
            runs[name].append(measure(command))
    return {name: _median(usages) for name, usages in runs.items()}


def children_cpu_s() -> float:
    """Return the CPU time of all child processes that have ended, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def check(command: Command, messages: int) -> None:
    """Run a command once, without measuring. Raises CommandError unless it writes `messages` messages.

    Each message must be on a line of its own.
    """
    with _started(command, subprocess.PIPE) as process:
        lines = process.stdout or ()
        found = sum(b'"messageId"' in line and b'"key_properties"' not in line for line in lines)
        process.wait()
    if found != messages:
        raise CommandError(f"{_name(command)} wrote {found:,} of {messages:,} messages")


@contextmanager
def _started(command: Command, stdout: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command that must exit within the block. Raises CommandError if it fails."""
    with NamedTemporaryFile(prefix="msghistory-bench-") as log:
        with running(command, stdout=stdout, stderr=log, cwd=REPOSITORY, env=_env()) as process:
            yield process
        if process.returncode:
            raise CommandError(f"{_name(command)} failed ({process.returncode}):\n{tail(Path(log.name))}")


def _median(usages: list[Usage]) -> Usage:
    return Usage(
        median(usage.cpu_s for usage in usages),
        median(usage.wall_s for usage in usages),
        median(usage.peak_mib for usage in usages),
    )


def _name(command: Command) -> str:
    return " ".join(Path(part).name for part in command[:3])


def _env() -> dict[str, str]:
    """Return the environment without proxies for the server and without Python settings that slow it down."""
    # PYTHONUNBUFFERED makes each line a system call, PYTHONDONTWRITEBYTECODE compiles at every start.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") or k == "PYTHONPATH"}
    return {**inherited, "no_proxy": HOST, "NO_PROXY": HOST}
