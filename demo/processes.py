"""Child processes that are stopped with all their descendants, also after errors and signals."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

Command = Sequence[str | Path]

STOP_TIMEOUT_SECONDS = 10
"""Time for a program to exit after a signal."""
TAIL_LINES = 25
"""Number of output lines of a failed program in the error message."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class CommandError(Exception):
    """A program failed. The message contains the last lines of its output."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt in the block for SIGINT, SIGTERM and SIGHUP, so that all contexts are exited.

    Only the first signal raises: further signals must not interrupt the cleanup. Main thread only.
    """

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        for signum in SIGNALS:
            signal.signal(signum, signal.SIG_IGN)
        raise KeyboardInterrupt

    previous = {signum: signal.signal(signum, interrupt) for signum in SIGNALS}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


@contextmanager
def running(
    command: Command, *, stop: signal.Signals = signal.SIGTERM, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for the duration of the block; `options` are passed to `Popen`.

    The program runs in its own process group, so that its children (for Meltano: tap and target) are stopped
    with it, and so that Ctrl-C on the terminal is sent to this process only.
    """
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            for signum in (stop, signal.SIGKILL):
                # macOS raises PermissionError for a group that contains only zombies.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signum)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(STOP_TIMEOUT_SECONDS)


def run(command: Command, *, log: Path, env: Mapping[str, str] | None = None, **options: Any) -> None:
    """Run a program, and write its output to the file `log`. Raises CommandError if it fails."""
    with (
        log.open("wb") as output,
        running(command, stdout=output, stderr=output, env=env, **options) as process,
    ):
        code = process.wait()
    if code:
        raise CommandError(f"{Path(command[0]).name} failed ({code}):\n{tail(log)}")


def capture(command: Command, text: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program with `text` on its stdin, and return its output, whatever its exit code is."""
    pipe = subprocess.PIPE
    with running(command, stdin=pipe, stdout=pipe, stderr=pipe, **options) as process:
        stdout, stderr = process.communicate(text.encode())
    return subprocess.CompletedProcess([*command], process.returncode, stdout.decode(), stderr.decode())


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])
