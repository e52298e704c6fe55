"""The `meltano.yml` that users copy has the settings and capabilities of the tap."""

from __future__ import annotations

from typing import Any

import pytest

from docs_build import meltano
from tests.support import ROOT

yaml = pytest.importorskip("ruamel.yaml", reason="needs the dependency group pipeline")


@pytest.fixture(scope="module")
def extractor() -> dict[str, Any]:
    project = yaml.YAML(typ="safe").load(ROOT / "meltano.yml")
    (extractor,) = project["plugins"]["extractors"]
    return dict(extractor)


@pytest.fixture(scope="module")
def about() -> dict[str, Any]:
    return meltano.about()


def test_meltano_yml_has_every_setting_with_its_description(extractor, about):
    assert {setting["name"]: setting for setting in extractor["settings"]} == {
        setting["name"]: setting for setting in meltano.settings(about)
    }


def test_meltano_yml_agrees_with_the_definition_for_the_hub(extractor, about):
    definition = meltano.definition(about)
    fetched = {"pip_url", "settings"}  # from a checkout; compared above
    assert {name: value for name, value in extractor.items() if name not in fetched} == {
        name: definition[name] for name in extractor if name not in fetched
    }
