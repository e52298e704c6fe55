"""The command as users start it: as a process of its own, listened to, and always ended."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import IO, Any
from unittest import mock

COMMAND = Path(sys.executable).with_name("tap-msghistory")

#: Seconds after which a test gives up on a process. Far more than any takes: only what hangs takes longer.
POLL_SCHEDULE = 90.0

# What the machine that runs the tests has set for itself says nothing about the product.
_OF_THE_MACHINE = re.compile(
    r"TAP_MSGHISTORY_.*|.*_PROXY|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|SSL_CERT_FILE|SSL_CERT_DIR|LOGLEVEL",
    re.IGNORECASE,
)
_NO_COMPLAINT = re.compile(r"\| (DEBUG|INFO|WARNING) +\|")

Finished = subprocess.CompletedProcess[str]


def environment(**variables: str) -> dict[str, str]:
    """This process's, but for what would change how the tap works; `variables` are added."""
    kept = {name: value for name, value in os.environ.items() if not _OF_THE_MACHINE.fullmatch(name)}
    return {**kept, **variables}


@contextlib.contextmanager
def running(
    settings: Any,
    directory: Path,
    *,
    state: Any = None,
    more: tuple[str, ...] = (),
    through: tuple[str, ...] = (),
    **options: Any,
) -> Iterator[Any]:
    """Start a sync and yield its `Popen`; with the end of the block it ends too.

    `settings` and `state` are what their files have, as JSON or as text; `more` are further arguments,
    and the command is run `through` another.
    """
    arguments = [*through, str(COMMAND), *_arguments(settings, directory, state), *more]
    usual = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment()}
    with subprocess.Popen(arguments, **{**usual, **options}) as process:
        watchdog = threading.Timer(POLL_SCHEDULE, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def run(settings: Any, directory: Path, **options: Any) -> Finished:
    """Start a sync and wait for its end."""
    with running(settings, directory, **options) as process:
        stdout, stderr = process.communicate()
    return Finished(process.args, process.returncode, (stdout or b"").decode(), stderr.decode())


def run_here(
    settings: Any,
    directory: Path,
    *,
    state: Any = None,
    more: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
) -> Finished:
    """Do as `run`, a hundred times sooner, for what needs no process: call what the command calls."""
    (command,) = (it for it in entry_points(group="console_scripts") if it.name == COMMAND.name)
    arguments = [COMMAND.name, *_arguments(settings, directory, state), *more]
    stdout = io.TextIOWrapper(io.BytesIO(), write_through=True)
    with (
        _own_logging(),
        mock.patch.object(sys, "argv", arguments),
        mock.patch.object(sys, "excepthook", sys.excepthook),
        mock.patch.dict(os.environ, env or environment(), clear=True),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(io.StringIO()) as stderr,
    ):
        try:
            code = command.load()()
        except SystemExit as end:
            code = end.code
    return Finished(arguments, code or 0, stdout.buffer.getvalue().decode(), stderr.getvalue())


def error_rules(stderr: str) -> list[str]:
    """The lines that a user has to read: errors, and whatever is no log line, as a traceback."""
    return [line for line in stderr.splitlines() if not _NO_COMPLAINT.search(line)]


def read_until(stream: IO[bytes], text: str) -> None:
    """Wait until a line with `text` comes."""
    for line in stream:
        if text in line.decode():
            return
    raise AssertionError(f"the command has ended without saying: {text}")


def whole_lines(printed: bytes) -> list[dict[str, Any]]:
    """The messages that a target takes: of what is cut off by the end, nothing."""
    return [json.loads(line) for line in printed[: printed.rfind(b"\n") + 1].splitlines()]


def _arguments(settings: Any, directory: Path, state: Any) -> list[str]:
    arguments = ["--config", _file(directory / "config.json", settings)]
    return arguments if state is None else [*arguments, "--state", _file(directory / "state.json", state)]


def _file(path: Path, content: Any) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


@contextlib.contextmanager
def _own_logging() -> Iterator[None]:
    """Let the command set up logging as it does, and leave nothing of that behind."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
