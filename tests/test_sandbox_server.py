"""Starting and stopping the server, from Python and from the command line."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest
import requests

from msghistory_sandbox import Faults, Sandbox
from tests.sandbox_client import empty_sandbox, request_edna, request_gateway

COMMAND = (sys.executable, "-c", "from msghistory_sandbox.cli import main; main()")


@pytest.fixture
def sandbox():
    with empty_sandbox() as served:
        yield served


def test_stopping_ends_requests_and_threads():
    before = threading.active_count()
    with Sandbox(faults=Faults(latency_ms=60_000)).serve() as sandbox:
        arrived = threading.Event()
        sandbox.journal.watch = lambda _: arrived.set()
        waiting = threading.Thread(target=_request_until_disconnected, args=(sandbox,))
        waiting.start()
        assert arrived.wait(5)
        url = sandbox.url
        start = time.monotonic()
    waiting.join()
    assert time.monotonic() - start < 2, "requests in flight are not waited for"
    assert threading.active_count() == before
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/sandbox/", timeout=5)


def test_port_in_use_is_an_error(sandbox):
    port = int(sandbox.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"), Sandbox().serve(port):
        pass


def test_command_serves_until_sigterm():
    at = "2026-03-20T12:00:00Z"
    arguments = ["--port=0", "--messages=50", f"--end={at}", f"--clock={at}", "--freeze"]
    arguments += ["--edna-key=k", "--gateway-shape=guide", "--fail-next=1"]
    with subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        sandbox = Sandbox()
        sandbox.url = process.stdout.readline().split()[-1]
        assert request_gateway(sandbox).status_code == 500
        assert len(request_gateway(sandbox, {"limit": 100}).json()["messages"]) <= 36
        assert request_edna(sandbox, headers={"x-api-key": "k"}).json()["hasNext"] is False
        about = requests.get(f"{sandbox.url}/sandbox/", timeout=5).json()
        assert (about["now"], about["edna"]["messages"]) == ("2026-03-20T12:00:00.000Z", 50)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=5)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize("argument", ["--messages=-1", "--clock=yesterday", "--endless=never"])
def test_invalid_options_are_named_in_the_error(argument):
    command = [*COMMAND, argument]
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert completed.returncode == 2
    assert argument.partition("=")[0] in completed.stderr


def _request_until_disconnected(sandbox: Sandbox) -> None:
    with pytest.raises(requests.ConnectionError):
        request_edna(sandbox)
