"""The settings reference, generated from the JSON Schema of the settings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from docs_build.markdown import IncompleteReferenceError, code, prose, table
from tap_msghistory.config.settings import SETTINGS
from tap_msghistory.schemas import json_type, types_of
from tap_msghistory.tap import TapMessageHistory

#: The sections of the page, and the pattern of the settings in each. A setting is in the first that matches.
GROUPS: Mapping[str, str] = {
    "Range of send time": r"start_date|end_date",
    "Fresh statuses": r"revisit_after|lookback|visibility_lag|reread",
    "edna Pulse": r"edna_.*",
    "Partner gateway: exports": r"(partner_gateway_)?export.*",
    "Partner gateway": r"partner_gateway_.*",
    "Requests and retries": r"page_size|concurrency|request_timeout|max_retry_seconds",
    "Records": r"account|assume_timezone|objects_as_json|max_rejected",
}
_SDK_GROUP = "Singer SDK"
_SDK_INTRODUCTION = (
    "The SDK adds these settings, and their descriptions are its own. See its documentation of "
    "[stream maps](https://sdk.meltano.com/en/latest/stream_maps.html) and "
    "[batches](https://sdk.meltano.com/en/latest/batch.html), and [Personal data](privacy.md) for an example."
)
_IDENTIFIER = re.compile(r"(?<![\w`/.])[a-z]+(?:_[a-z]+)+(?![\w`])")
_CONSTRAINTS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "above {}",
}


def render() -> str:
    """Return the reference. Raises `IncompleteReferenceError` for a setting that it cannot describe."""
    return render_settings(SETTINGS)


def render_settings(schema: Mapping[str, Any]) -> str:
    """Return the reference of the settings in a JSON Schema. Raises `IncompleteReferenceError`."""
    own = {name: setting for name, setting in schema["properties"].items() if name not in sdk_settings()}
    sections: dict[str, list[str]] = {group: [] for group in GROUPS}
    for name, setting in own.items():
        sections[_group_of(name)].append(_section(name, setting, own, required=name in schema["required"]))
    parts = [part for group, settings in sections.items() for part in (f"## {group}", *settings)]
    return "\n\n".join([*parts, f"## {_SDK_GROUP}", _SDK_INTRODUCTION, _sdk_table()])


def sdk_settings() -> dict[str, Any]:
    """Return the settings that the SDK adds to those of a tap."""
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    TapMessageHistory.append_builtin_config(schema)
    return dict(schema["properties"])


def _group_of(name: str) -> str:
    group = next((group for group, pattern in GROUPS.items() if re.fullmatch(pattern, name)), None)
    if group is None:
        raise IncompleteReferenceError(f"setting {name} is in no section: add it to GROUPS in {__name__}")
    return group


def _section(name: str, setting: Mapping[str, Any], known: Mapping[str, Any], *, required: bool) -> str:
    for attribute in ("title", "description"):
        if not setting.get(attribute):
            raise IncompleteReferenceError(f"setting {name} has no {attribute}")
    facts = [_type(setting), f"environment variable `TAP_MSGHISTORY_{name.upper()}`"]
    if "default" in setting:
        facts.insert(1, f"default {code(json.dumps(setting['default']))}")
    if required:
        facts.insert(1, "**required**")
    if setting.get("secret"):
        facts.insert(1, "**secret**")
    description = _IDENTIFIER.sub(lambda match: _reference(match[0], known), prose(setting["description"]))
    return f"### `{name}` {{ #{name} }}\n\n{description}\n\n*Type:* {'; '.join(facts)}"


def _reference(name: str, known: Mapping[str, Any]) -> str:
    return f"[`{name}`](#{name})" if name in known else code(name)


def _type(setting: Mapping[str, Any]) -> str:
    type_ = " or ".join(name for name in types_of(setting) if name != "null")
    items = setting.get("items", {})
    allowed = setting.get("enum") or items.get("enum")
    words = f"{type_} of {json_type(items)}s" if items else type_
    limits = [text.format(setting[name]) for name, text in _CONSTRAINTS.items() if name in setting]
    if limits:
        words += f", {' and '.join(limits)}"
    return f"{words}: {', '.join(map(code, filter(None, allowed)))}" if allowed else words


def _sdk_table() -> str:
    rows = [
        (code(name), json_type(setting), prose(setting.get("description") or setting.get("title", "")))
        for name, setting in sdk_settings().items()
    ]
    return table(("setting", "type", "description"), rows)
