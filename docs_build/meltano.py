"""The tap's definition for Meltano Hub, made from the output of `tap-msghistory --about`.

Print it with `python -m docs_build.meltano`; the file `hub/tap-msghistory.yml` contains it. The settings in
`meltano.yml` are the same.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import yaml

#: Meltano 4.4 cannot pass on decimal numbers from the environment; the tap converts texts.
_KINDS = {"number": "string"}
_GROUPS = (
    ("start_date", "edna_api_key"),
    ("start_date", "partner_gateway_api_key"),
    ("start_date", "partner_gateway_username", "partner_gateway_password"),
)
_CHECK = "Run `meltano invoke tap-msghistory --test` to check the credentials before the first sync.\n"


def settings(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the definitions of all settings."""
    return [_setting(name, declared) for name, declared in about["settings"]["properties"].items()]


def definition(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition of the extractor."""
    name = about["name"]
    package = metadata(name)
    urls = dict(entry.split(", ") for entry in package.get_all("Project-URL") or ())
    keywords = [word for word in package["Keywords"].split(",") if word not in _OBVIOUS]
    return {
        "name": name,
        "namespace": name.replace("-", "_"),
        "variant": "msghistory",
        "label": "edna Pulse and Qlara message histories",
        "description": about["description"],
        "logo_url": "/assets/logos/extractors/msghistory.png",
        "domain_url": "https://edna.io",
        "repo": urls["Repository"],
        "docs": urls["Documentation"],
        "pip_url": name,
        "executable": name,
        "maintenance_status": "active",
        "quality": "gold",
        "keywords": ["api", "meltano_sdk", *keywords],
        "capabilities": sorted(about["capabilities"]),
        "log_parser": "singer-sdk",
        "supported_python_versions": about["supported_python_versions"],
        "select": ["*.*"],
        "settings_group_validation": [[*group] for group in _GROUPS],
        "settings": settings(about),
        "next_steps": _CHECK,
    }


_OBVIOUS = ("singer", "tap", "elt", "meltano")


def _setting(name: str, declared: Mapping[str, Any]) -> dict[str, Any]:
    kind = _kind(name, declared)
    setting = {"name": name, "label": declared["title"], "kind": kind, "description": declared["description"]}
    if declared.get("secret"):
        setting["sensitive"] = True
    if kind == "options":
        setting["options"] = [{"label": value, "value": value} for value in declared["enum"] if value]
    if "default" in declared:
        setting["value"] = str(declared["default"]) if kind == "string" else declared["default"]
    return setting


def _kind(name: str, declared: Mapping[str, Any]) -> str:
    if declared.get("secret"):
        return "password"
    if "enum" in declared:
        return "options"
    if name.endswith("_date"):
        return "date_iso8601"
    types = {declared["type"]} if isinstance(declared["type"], str) else {*declared["type"]} - {"null"}
    (found,) = types & {"string"} or types
    return _KINDS.get(found, found)


def about() -> dict[str, Any]:
    """Return the output of `tap-msghistory --about`."""
    command: list[str | Path] = [Path(sys.executable).with_name("tap-msghistory"), "--about", "--format=json"]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))  # noqa: S603


def render(content: Mapping[str, Any]) -> str:
    """Return the definition as YAML. `content` is the output of `about`."""
    return yaml.safe_dump(definition(content), sort_keys=False, allow_unicode=True, width=110)


if __name__ == "__main__":
    sys.stdout.write(render(about()))
