"""The built wheel and sdist work in an empty environment."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support import ALL_STREAMS, EXPORT, ROOT

UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dist")
    subprocess.run([UV, "build", "--quiet", "--out-dir", directory], cwd=ROOT, check=True)
    return directory


@pytest.mark.parametrize("pattern", ["*.whl", "*.tar.gz"])
def test_the_installed_tap_discovers_its_streams(distributions, tmp_path, pattern):
    (distribution,) = distributions.glob(pattern)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)
    subprocess.run([UV, "pip", "install", "--quiet", "--python", python, distribution], check=True)
    found = subprocess.run(
        [python.with_name("tap-msghistory"), "--discover"],
        cwd=tmp_path,  # not in the checkout, whose schemas would be used
        check=True,
        capture_output=True,
    )
    assert {stream["stream"] for stream in json.loads(found.stdout)["streams"]} == {*ALL_STREAMS} - {EXPORT}
    sandbox = subprocess.run([python.with_name("tap-msghistory-sandbox")], capture_output=True, check=False)
    (line,) = sandbox.stderr.decode().splitlines()
    assert "extra 'sandbox'" in line
    assert sandbox.returncode == 1


def test_the_wheel_contains_only_the_tap_its_report_and_its_sandbox(distributions):
    (wheel,) = distributions.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    packages = {"tap_msghistory", "msghistory_report", "msghistory_sandbox"}
    assert {name.split("/")[0].split("-")[0] for name in names} == packages
    assert {f"{package}/py.typed" for package in packages} <= {*names}
    assert "tap_msghistory/schemas/edna_message.json" in names
    assert "msghistory_report/page.html.j2" in names
