"""Fixtures that all tests share: sandboxes to read from."""

from __future__ import annotations

import os
from collections.abc import Iterator

import hypothesis
import pytest

from msghistory_sandbox.clock import Clock
from msghistory_sandbox.server import Sandbox
from tests.support import END_MS, YEARS

# Also for the commands that tests run.
os.environ.setdefault("PYTHONWARNINGS", "ignore:Python 3.10 reached its end of life")

# No deadlines: the duration of an example depends on the load of the machine.
hypothesis.settings.register_profile("default", deadline=None, max_examples=100, stateful_step_count=20)
hypothesis.settings.register_profile("nightly", deadline=None, max_examples=2_000, stateful_step_count=30)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


#: Modules with tests of single functions and state machines.
_UNIT_MODULES = {
    "test_data", "test_export_files", "test_export_spool", "test_fast_path", "test_faults",
    "test_meltano_yml", "test_paginators", "test_portability", "test_progress", "test_recipes",
    "test_sandbox_generate", "test_settings", "test_state", "test_windows",
}  # fmt: skip
#: Modules with the longest tests, which start first, so that no worker waits for another at the end.
_LONG_MODULES = {
    "test_airbyte", "test_completeness", "test_dbt_models", "test_dlt", "test_export_downloads",
    "test_faults", "test_histories", "test_meltano", "test_pipeline", "test_reconcile",
    "test_reconcile_pipeline", "test_shards", "test_spark", "test_spark_reads", "test_stops", "test_sync",
    "test_targets",
}  # fmt: skip
#: Modules that read many messages with code that other tests cover. Measuring it would double their time.
_WITHOUT_COVERAGE = {"test_histories", "test_spark_reads", "test_sync"}
_SERVERS = {"life_like", "large", "sandbox", "export_sandbox", "filled", "served", "years"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests with a server or a process. `make check` runs the others. Long modules come first."""
    items.sort(key=lambda item: item.path.stem not in _LONG_MODULES)
    for item in items:
        if item.path.stem in _WITHOUT_COVERAGE:
            item.add_marker("no_cover")
        fixtures = {*getattr(item, "fixturenames", ())}
        if item.path.stem not in _UNIT_MODULES or _SERVERS & fixtures:
            item.add_marker("server")


@pytest.fixture(scope="session")
def life_like() -> Iterator[Sandbox]:
    """Two realistic histories of 60 days, the same in every run. Tests must not change them."""
    sandbox = Sandbox.generate(messages=7_200, seed=1, end_ms=END_MS, clock=Clock(END_MS, frozen=True))
    with sandbox.serve():
        yield sandbox


@pytest.fixture(scope="session")
def years() -> Iterator[Sandbox]:
    """A history of several windows per stream, each at most a year. Tests must not change it."""
    sandbox = Sandbox.generate(
        messages=300, days=365 * YEARS, seed=5, end_ms=END_MS, clock=Clock(END_MS, frozen=True)
    )
    sandbox.gateway_options.requests_per_minute = sandbox.gateway_options.requests_per_second = None
    with sandbox.serve():
        yield sandbox


@pytest.fixture(scope="session")
def large() -> Iterator[Sandbox]:
    """Histories of several Spark partitions. Tests must not change them."""
    sandbox = Sandbox.generate(messages=25_000, seed=3, end_ms=END_MS, clock=Clock(END_MS, frozen=True))
    sandbox.gateway_options.requests_per_minute = sandbox.gateway_options.requests_per_second = None
    with sandbox.serve():
        yield sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An empty sandbox whose clock is frozen at `END`. Tests may change it."""
    sandbox = Sandbox(clock=Clock(END_MS, frozen=True))
    sandbox.gateway_options.requests_per_minute = sandbox.gateway_options.requests_per_second = None
    with sandbox.serve():
        yield sandbox


@pytest.fixture
def export_sandbox(sandbox: Sandbox, life_like: Sandbox) -> Sandbox:
    """A sandbox with a sixth of the messages of each gateway channel."""
    for channel, history in life_like.gateway.items():
        sandbox.gateway[channel].add(*list(history)[::6])
    return sandbox
