"""The programs that the demo starts end with it."""

from __future__ import annotations

import os
import select
import sys

import pytest

from demo.processes import capture, interruptible

INTERRUPT_PARENT = """
import os, signal, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)
os.kill(os.getppid(), signal.SIGTERM)
time.sleep(600)
"""
TIMEOUT_SECONDS = 30


def test_output_and_exit_code_are_returned():
    program = "import sys; print(sys.stdin.read().upper()); print('error', file=sys.stderr); sys.exit(3)"
    finished = capture([sys.executable, "-c", program], "text")
    assert (finished.stdout, finished.stderr, finished.returncode) == ("TEXT\n", "error\n", 3)


def test_an_interrupted_program_ends_with_its_children():
    reader, writer = os.pipe()  # its end is reached when no process has it open
    with pytest.raises(KeyboardInterrupt), interruptible():
        capture([sys.executable, "-c", INTERRUPT_PARENT], "", pass_fds=[writer])
    os.close(writer)
    assert select.select([reader], [], [], TIMEOUT_SECONDS)[0]
    assert os.read(reader, 1) == b""
    os.close(reader)
