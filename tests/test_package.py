"""The built wheel and sdist work in an empty environment."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.support import ALL_STREAMS, EXPORT, ROOT

UV = Path(sys.executable).with_name("uv")
VERSION = version("tap-msghistory")
PACKAGES = ("tap_msghistory", "msghistory_report", "msghistory_sandbox")


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    directory = tmp_path_factory.mktemp("dist")
    subprocess.run([UV, "build", "--quiet", "--out-dir", directory], cwd=ROOT, check=True)
    return directory


def install_with_uv_pip(distributions, directory):
    python = directory / "bin" / "python"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, directory], check=True)
    (sdist,) = distributions.glob("*.tar.gz")
    subprocess.run([UV, "pip", "install", "--quiet", "--python", python, sdist], check=True)
    return directory / "bin"


def install_with_uv_tool(distributions, directory):
    env = {**os.environ, "UV_TOOL_DIR": str(directory / "tools"), "UV_TOOL_BIN_DIR": str(directory / "bin")}
    source = ("--find-links", distributions, "--python", sys.executable)
    subprocess.run(
        [UV, "tool", "install", "--quiet", *source, f"tap-msghistory=={VERSION}"], env=env, check=True
    )
    return directory / "bin"


def install_with_pipx(distributions, directory):
    env = {**os.environ, "PIPX_HOME": str(directory / "home"), "PIPX_BIN_DIR": str(directory / "bin")}
    source = ("--python", sys.executable, "--pip-args", f"--find-links {distributions}")
    subprocess.run(
        [UV.with_name("pipx"), "install", "--quiet", *source, f"tap-msghistory=={VERSION}"],
        env=env,
        check=True,
    )
    return directory / "bin"


@pytest.mark.parametrize("install", [install_with_uv_pip, install_with_uv_tool, install_with_pipx])
def test_the_installed_tap_discovers_its_streams(distributions, tmp_path, install):
    """The sdist is installed by its path, the wheel by its name from a local index of wheels."""
    commands = install(distributions, tmp_path / "installed")

    def run(name, *arguments):
        # Not in the checkout, whose schemas would be used.
        return subprocess.run(
            [commands / name, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    assert run("tap-msghistory", "--version").stdout.startswith(f"tap-msghistory v{VERSION},")
    discovered = json.loads(run("tap-msghistory", "--discover").stdout)
    assert {stream["stream"] for stream in discovered["streams"]} == {*ALL_STREAMS} - {EXPORT}
    for name, extra in (
        ("tap-msghistory-sandbox", "extra 'sandbox'"),
        ("source-msghistory", "extra airbyte"),
    ):
        finished = run(name, *(["spec"] if name == "source-msghistory" else []))
        (line,) = finished.stderr.splitlines()
        assert extra in line
        assert finished.returncode == 1


def test_the_metadata_and_the_contents_are_those_of_a_good_package(distributions):
    for checker, *arguments in (
        ("twine", "check", "--strict", *distributions.glob("tap_*")),
        ("check-wheel-contents", "--toplevel", ",".join(PACKAGES), *distributions.glob("*.whl")),
    ):
        subprocess.run([UV.with_name(checker), *arguments], check=True, capture_output=True)


def test_the_readme_on_pypi_has_only_absolute_links(distributions):
    (wheel,) = distributions.glob("*.whl")
    metadata = zipfile.ZipFile(wheel).read(f"tap_msghistory-{VERSION}.dist-info/METADATA").decode()
    links = re.findall(r"\]\(([^)]+)\)", metadata)
    assert len(links) > 30
    assert [link for link in links if not link.startswith("https://")] == []


def test_the_wheel_contains_only_the_tap_its_report_and_its_sandbox(distributions):
    (wheel,) = distributions.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {*PACKAGES}
    assert {f"{package}/py.typed" for package in PACKAGES} <= {*names}
    assert "tap_msghistory/schemas/edna_message.json" in names
    assert "msghistory_report/page.html.j2" in names
