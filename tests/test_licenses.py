"""The dependencies that the distribution brings have licenses that its users can accept."""

from __future__ import annotations

import pytest

pytest.importorskip("pyspark", reason="needs all extras")

from docs_build import licenses


def test_every_shipped_dependency_has_an_allowed_license():
    finished = licenses.report()
    assert finished.returncode == 0, finished.stderr
    assert {"requests", "singer-sdk", "altair", "pyspark"} <= {*licenses.shipped()}


def test_another_license_is_refused():
    assert licenses.report("--allow-only", "Zlib").returncode == 1
