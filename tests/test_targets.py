"""Third-party targets store the output of the tap. `make targets` tests more of them."""

from __future__ import annotations

import pytest

pytest.importorskip("meltano", reason="needs the dependency group pipeline")

from targets.__main__ import run_targets
from targets.catalog import TARGETS
from tests.support import ROOT

pytestmark = pytest.mark.pipeline
CORE = ("target-jsonl", "target-sqlite", "target-csv (MeltanoLabs)")


@pytest.fixture(scope="module")
def outcomes():
    chosen = [target for target in TARGETS if target.title in CORE]
    return {outcome.target.title: outcome for outcome in run_targets(chosen, messages=200)}


@pytest.mark.parametrize("title", CORE)
def test_a_target_stores_every_cell_of_two_runs(outcomes, title):
    assert not outcomes[title].differs, outcomes[title].to_markdown()


def test_the_documentation_lists_every_target():
    document = (ROOT / "docs" / "targets.md").read_text()
    assert [target.title for target in TARGETS if f"| {target.title} |" not in document] == []
