"""Programs that we start, and their end: nothing of theirs stays behind, whatever happens here."""

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

POLL_SCHEDULE = 10
"""Seconds that a program has for an orderly end."""
SHOWN_LINES = 25
"""Lines of a failed program's output in the error."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class CommandError(Exception):
    """A program failed; the message has the end of its output."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Within the block, let a request to stop unwind everything: it raises KeyboardInterrupt.

    Once only: a second signal must not cut the tidying up short. Main thread only.
    """

    def interrupt(_signum: int, _frame: FrameType | None) -> None:
        for signum in SIGNALS:
            signal.signal(signum, signal.SIG_IGN)
        raise KeyboardInterrupt

    former = {signum: signal.signal(signum, interrupt) for signum in SIGNALS}
    try:
        yield
    finally:
        for signum, handler in former.items():
            signal.signal(signum, handler)


@contextmanager
def running(
    command: Command, *, stop: signal.Signals = signal.SIGTERM, **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program for as long as the block lasts; `options` are those of Popen.

    It leads a process group of its own, so that its end takes its children along (Meltano's are
    tap and target), and so that a Ctrl-C on the terminal comes to us alone.
    """
    with subprocess.Popen(command, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            for signum in (stop, signal.SIGKILL):
                # macOS says PermissionError of a group of which only zombies are left.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signum)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_SCHEDULE)


def run(command: Command, *, log: Path, env: Mapping[str, str] | None = None, **options: Any) -> None:
    """Run a program to its end, all its output going to the file `log`; CommandError if it fails."""
    with (
        log.open("wb") as output,
        running(command, stdout=output, stderr=output, env=env, **options) as process,
    ):
        code = process.wait()
    if code:
        raise CommandError(f"{Path(command[0]).name} failed ({code}):\n{tail(log)}")


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-SHOWN_LINES:])
