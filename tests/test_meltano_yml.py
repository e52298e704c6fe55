"""The `meltano.yml` that users copy has the settings and capabilities of the tap."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

yaml = pytest.importorskip("ruamel.yaml", reason="needs the dependency group pipeline")

KINDS = {name: name for name in ("array", "boolean", "integer", "object", "string")} | {
    "number": "string",  # Meltano 4.4 cannot pass a decimal from the environment
}


@pytest.fixture(scope="module")
def extractor() -> dict[str, Any]:
    project = yaml.YAML(typ="safe").load(ROOT / "meltano.yml")
    (extractor,) = project["plugins"]["extractors"]
    return dict(extractor)


@pytest.fixture(scope="module")
def about() -> dict[str, Any]:
    tap = Path(sys.executable).with_name("tap-msghistory")
    printed = subprocess.run([tap, "--about", "--format=json"], check=True, capture_output=True)
    return dict(json.loads(printed.stdout))


def kind(name: str, types: str | list[str]) -> str:
    allowed = {types} if isinstance(types, str) else {*types} - {"null"}
    (found,) = allowed & {"string"} or allowed
    return "date_iso8601" if name.endswith("_date") else KINDS[found]


def default(name: str, declared: dict[str, Any]) -> Any:
    value = declared["default"]
    return str(value) if kind(name, declared["type"]) == "string" else value


def test_meltano_yml_has_every_setting_with_its_description(extractor, about):
    settings = {setting.pop("name"): setting for setting in extractor["settings"]}
    assert settings == {
        name: {
            "label": declared["title"],
            "kind": kind(name, declared["type"]),
            "description": declared["description"],
        }
        | ({"sensitive": True} if declared.get("secret") else {})
        | ({"value": default(name, declared)} if "default" in declared else {})
        for name, declared in about["settings"]["properties"].items()
    }


def test_meltano_yml_has_the_capabilities_of_the_tap(extractor, about):
    assert extractor["capabilities"] == sorted(about["capabilities"])


def test_meltano_yml_selects_all_streams(extractor):
    assert extractor["select"] == ["*.*"]
