"""The README promises nothing without a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path("tests")
HEADING = "What is promised, and by which test"


@pytest.fixture(scope="module")
def promises():
    """The table's rows: promise and tests."""
    readme = Path("README.md").read_text()
    (section,) = re.findall(rf"^## {HEADING}\n(.*?)(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| (.+?) \| (.*?) ?\|$", section, re.MULTILINE)
    return [(promise, tests) for promise, tests in rows[1:] if not promise.startswith("**")]


def test_every_promise_names_tests_and_each_of_them_exists(promises):
    assert len(promises) > 20
    for promise, tests in promises:
        named = re.findall(r"`(test_\w+\.py)::(\w+)`", tests)
        assert named, f"no test is named for: {promise}"
        assert [f"{file}::{name}" for file, name in named if name not in names(file)] == []


def names(file):
    """What a test file defines at its top: functions, classes, and names given to them."""
    found = set()
    for node in ast.parse((TESTS / file).read_text()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found
