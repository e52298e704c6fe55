"""The dependencies that the distribution brings have licenses that its users can accept."""

from __future__ import annotations

import json
import subprocess

import pytest

pytest.importorskip("pyspark", reason="needs all extras")

from docs_build import licenses


def test_every_shipped_dependency_has_an_allowed_license():
    finished = licenses.report()
    assert finished.returncode == 0, finished.stderr
    assert {"requests", "singer-sdk", "altair", "pyspark"} <= {*licenses.shipped()}


def test_another_license_is_refused():
    assert licenses.report("--allow-only", "Zlib").returncode == 1


def test_the_bill_of_materials_lists_every_shipped_dependency():
    exported = subprocess.run([*licenses.EXPORT, "--format=cyclonedx1.5"], check=True, capture_output=True)
    components = {component["name"] for component in json.loads(exported.stdout)["components"]}
    assert {*licenses.shipped()} <= components
