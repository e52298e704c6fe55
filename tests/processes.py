"""The command as users start it: in a process of its own, with its output captured, and always ended."""

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
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import IO, Any
from unittest import mock

from tap_msghistory.tap import TapMessageHistory

COMMAND = Path(sys.executable).with_name("tap-msghistory")

#: Seconds after which a test gives up on a process. No process takes that long unless it hangs.
TIMEOUT_SECONDS = 90.0

# The environment of the machine that runs the tests must not affect the results.
_MACHINE_VARIABLES = re.compile(
    r"TAP_MSGHISTORY_.*|.*_PROXY|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|SSL_CERT_FILE|SSL_CERT_DIR|LOGLEVEL",
    re.IGNORECASE,
)
_HARMLESS = re.compile(r"\| (DEBUG|INFO|WARNING) +\|")

Finished = subprocess.CompletedProcess[str]


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without what affects the tap, and with `variables` added."""
    kept = {name: value for name, value in os.environ.items() if not _MACHINE_VARIABLES.fullmatch(name)}
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
    """Start a sync and yield its `Popen`; the process ends with the block.

    `settings` and `state` are the contents of their files, as JSON or as text. `more` are additional
    arguments. `through` is a command that runs the tap, such as nohup.
    """
    arguments = [*through, str(COMMAND), *_arguments(settings, directory, state), *more]
    usual = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment()}
    with subprocess.Popen(arguments, **{**usual, **options}) as process:
        watchdog = threading.Timer(TIMEOUT_SECONDS, process.kill)
        watchdog.start()
        try:
            yield process
        finally:
            watchdog.cancel()
            process.kill()


def run(settings: Any, directory: Path, **options: Any) -> Finished:
    """Start a sync and wait for it to end."""
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
    tap_class: type[TapMessageHistory] | None = None,
) -> Finished:
    """Run the command in this process, which is a hundred times faster than `run`.

    By default, it is the function that the installed console script calls; else the command of `tap_class`.
    """
    arguments = [COMMAND.name, *_arguments(settings, directory, state), *more]
    stdout = io.TextIOWrapper(io.BytesIO(), write_through=True)
    with (
        _restored_logging(),
        mock.patch.object(sys, "argv", arguments),
        mock.patch.object(sys, "excepthook", sys.excepthook),
        mock.patch.dict(os.environ, env or environment(), clear=True),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(io.StringIO()) as stderr,
    ):
        try:
            code = tap_class.cli() if tap_class else _console_script()()
        except SystemExit as end:
            code = end.code
    return Finished(arguments, code or 0, stdout.buffer.getvalue().decode(), stderr.getvalue())


def error_lines(stderr: str) -> list[str]:
    """Return the lines that a user must read: errors, and lines that are not log lines, as of a traceback."""
    return [line for line in stderr.splitlines() if not _HARMLESS.search(line)]


def read_until(stream: IO[bytes], text: str) -> None:
    """Wait for a line that contains `text`."""
    for line in stream:
        if text in line.decode():
            return
    raise AssertionError(f"the command has ended without printing: {text}")


def whole_lines(printed: bytes) -> list[dict[str, Any]]:
    """Return the messages that a target accepts: those of complete lines."""
    return [json.loads(line) for line in printed[: printed.rfind(b"\n") + 1].splitlines()]


def _console_script() -> Callable[[], Any]:
    scripts = entry_points(group="console_scripts")
    (script,) = (script for script in scripts if script.name == COMMAND.name)
    command: Callable[[], Any] = script.load()
    return command


def _arguments(settings: Any, directory: Path, state: Any) -> list[str]:
    arguments = ["--config", _file(directory / "config.json", settings)]
    return arguments if state is None else [*arguments, "--state", _file(directory / "state.json", state)]


def _file(path: Path, content: Any) -> str:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


@contextlib.contextmanager
def _restored_logging() -> Iterator[None]:
    """Restore the logging configuration when the block ends; the command changes it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
