"""The documentation: every guarantee has its tests, and the site builds without warnings."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest

from docs_build import error_reference, settings_reference
from docs_build.markdown import IncompleteReferenceError
from tap_msghistory.config.settings import SETTINGS

TESTS = Path(__file__).parent
ROOT = TESTS.parent
MAX_README_LINES = 200


@pytest.fixture(scope="module")
def guarantees():
    """The guarantees with their tests, as (guarantee, tests) pairs."""
    page = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (.+?) \| (.*?) ?\|$", page, re.MULTILINE)
    return [row for row in rows if row != ("guarantee", "tests")]


def test_every_guarantee_names_existing_tests(guarantees):
    assert len(guarantees) > 50
    for guarantee, tests in guarantees:
        named = re.findall(r"`(test_\w+\.py)::(\w+)`", tests)
        assert named, f"no test is named for: {guarantee}"
        assert [f"{file}::{name}" for file, name in named if name not in defined_names(file)] == []


def defined_names(file):
    """Return the names that a test file defines at its top level: functions, classes and variables."""
    found = set()
    for node in ast.parse((TESTS / file).read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= MAX_README_LINES


def test_links_in_the_top_level_documents_lead_to_files():
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"):
        links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / name).read_text(encoding="utf-8"))
        assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_the_site_builds_without_warnings(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    settings = (tmp_path / "site" / "settings.html").read_text(encoding="utf-8")
    assert [name for name in SETTINGS["properties"] if f"<code>{name}</code>" not in settings] == []


@pytest.mark.parametrize("attribute", ["title", "description"])
def test_a_setting_without_description_fails_the_build(attribute):
    schema = deepcopy(SETTINGS)
    del schema["properties"]["page_size"][attribute]
    with pytest.raises(IncompleteReferenceError, match=f"page_size has no {attribute}"):
        settings_reference.render_settings(schema)


def test_a_setting_in_no_section_fails_the_build():
    schema = deepcopy(SETTINGS)
    schema["properties"]["colour"] = schema["properties"]["page_size"]
    with pytest.raises(IncompleteReferenceError, match="colour is in no section"):
        settings_reference.render_settings(schema)


def test_an_undocumented_error_fails_the_build():
    page = (ROOT / "docs" / error_reference.PAGE).read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if not line.startswith("| `Setting end_date must not")]
    with pytest.raises(IncompleteReferenceError, match="not documented: Setting end_date must not"):
        error_reference.check("\n".join(lines))


def test_a_documented_error_that_does_not_exist_fails_the_build():
    page = (ROOT / "docs" / error_reference.PAGE).read_text(encoding="utf-8")
    with pytest.raises(IncompleteReferenceError, match="does not exist: The moon is missing"):
        error_reference.check(f"{page}\n| `The moon is missing` | Look up. |\n")
