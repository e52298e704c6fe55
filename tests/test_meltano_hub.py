"""The definition for Meltano Hub is current, has the Hub's format, and Meltano accepts it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from referencing import Registry
from referencing.jsonschema import DRAFT7

from docs_build import meltano
from tests.processes import environment
from tests.support import ROOT

DEFINITION = ROOT / "hub" / "tap-msghistory.yml"
SCHEMAS = ROOT / "tests" / "meltano_hub"
"""From github.com/meltano/hub (Apache-2.0), commit 9d28b36a64bf1ba18d6b0dd6936d8f14d2eaa0ba."""
MELTANO = Path(sys.executable).with_name("meltano")


def schema(path: Path) -> dict[str, Any]:
    """Return a schema without its identifier, which is not that of its references."""
    content: dict[str, Any] = json.loads(path.read_text())
    del content["$id"]
    return content


@pytest.fixture(scope="module")
def definition() -> dict[str, Any]:
    return dict(yaml.safe_load(DEFINITION.read_text()))


def test_the_definition_is_generated_from_the_tap():
    assert DEFINITION.read_text() == meltano.render(meltano.about())


def test_the_definition_has_the_format_of_the_hub(definition):
    files = {path: DRAFT7.create_resource(schema(path)) for path in SCHEMAS.rglob("*.json")}
    resources = ((path.as_uri(), found) for path, found in files.items())
    registry: Registry[Any] = Registry().with_resources(resources)
    main = SCHEMAS / "plugin_definitions" / "extractors.schema.json"
    validator = Draft7Validator({"$ref": main.as_uri()}, registry=registry)
    assert [error.message for error in validator.iter_errors(definition)] == []
    definition["settings"][0]["kind"] = "text"
    assert [*validator.iter_errors(definition)]


def test_meltano_adds_the_extractor_from_the_definition(tmp_path, definition):
    pytest.importorskip("meltano", reason="needs the dependency group pipeline")
    project = {"project_id": "test", "default_environment": "dev", "environments": [{"name": "dev"}]}
    (tmp_path / "meltano.yml").write_text(yaml.safe_dump({**project, "send_anonymous_usage_stats": False}))
    subprocess.run(
        [MELTANO, "add", "--no-install", "--from-ref", DEFINITION, "tap-msghistory"],
        cwd=tmp_path,
        env=environment(MELTANO_CLI_DISABLE_VERSION_CHECK="1", XDG_STATE_HOME=str(tmp_path)),
        capture_output=True,
        check=True,
    )
    (added,) = yaml.safe_load((tmp_path / "meltano.yml").read_text())["plugins"]["extractors"]
    assert (added["name"], added["variant"]) == ("tap-msghistory", "msghistory")
    assert described(added["settings"]) == described(definition["settings"])


def described(settings: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Return what Meltano keeps of each setting; it stores passwords as sensitive strings."""
    names = ("name", "label", "description", "value", "sensitive", "options")
    return [tuple(setting.get(name) for name in names) for setting in settings]
