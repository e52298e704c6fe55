"""What the tests share: sandboxes to read from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tap_msghistory.sandbox.clock import Clock
from tap_msghistory.sandbox.server import Sandbox
from tests.support import END_MS


@pytest.fixture(scope="session")
def life_like() -> Iterator[Sandbox]:
    """Two life-like histories of 60 days, the same in every run. Not to be changed."""
    sandbox = Sandbox.generate(messages=12_000, seed=1, end_ms=END_MS, clock=Clock(END_MS, frozen=True))
    with sandbox.serve():
        yield sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An empty sandbox, whose clock stands at the end of the tests' time. To be filled and changed."""
    sandbox = Sandbox(clock=Clock(END_MS, frozen=True))
    sandbox.gateway_options.requests_per_minute = sandbox.gateway_options.requests_per_second = None
    with sandbox.serve():
        yield sandbox
