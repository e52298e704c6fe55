"""The check of a release, and its notes."""

from __future__ import annotations

from importlib.metadata import version

import pytest
import yaml

from docs_build import release
from tap_msghistory.config.settings import SETTINGS
from tests.support import ROOT

CHANGELOG = """# Changelog

## [1.1.0] - 2027-01-31

### Added

- Something.

## [1.0.0] - 2026-12-01

The first release. [Guarantees](docs/guarantees.md)
"""


def test_a_complete_release_has_no_errors():
    assert release.errors("v1.1.0", {"version": "1.1.0"}, CHANGELOG, {"README.md": "pipx install"}) == []


@pytest.mark.parametrize(
    ("tag", "version", "readme", "error"),
    [
        ("v1.1.1", "1.1.0", "", "The tag is v1.1.1, but pyproject.toml has version 1.1.0"),
        ("v1.1.0", "1.1.0", "https://git.example.com/x", "README.md contains 'git.example.com'"),
        ("v1.1.0", "1.1.0", "It is not on PyPI.", "README.md contains 'not on PyPI'"),
        ("v1.2.0", "1.2.0", "", "CHANGELOG.md has no section '## [1.2.0] - YYYY-MM-DD'"),
    ],
)
def test_an_incomplete_release_is_refused(tag, version, readme, error):
    assert release.errors(tag, {"version": version}, CHANGELOG, {"README.md": readme}) == [error]


def test_an_undated_section_is_refused():
    undated = CHANGELOG.replace("2027-01-31", "Unreleased")
    assert len(release.errors("v1.1.0", {"version": "1.1.0"}, undated, {})) == 1


def test_notes_are_the_section_of_the_version():
    assert release.notes("1.1.0", CHANGELOG, "https://host/x") == "### Added\n\n- Something.\n"
    assert release.notes("1.0.0", CHANGELOG, "https://host/x") == (
        "The first release. [Guarantees](https://host/x/blob/v1.0.0/docs/guarantees.md)\n"
    )


def test_the_changelog_has_notes_for_the_current_version():
    assert release.notes(version("tap-msghistory"), (ROOT / "CHANGELOG.md").read_text(), "https://host/x")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("docker/airbyte/Dockerfile", "ARG VERSION={version}\n"),
        ("docs/airbyte.md", "source-msghistory:{version}"),
        ("docs/examples/cronjob.yaml", "msghistory:{version}\n"),
        ("docs/examples/cronjob.yaml", "tap-msghistory=={version} "),
        ("docs/getting-started.md", "tap_msghistory-{version}-py3"),
        ("docs/upgrading.md", "tap-msghistory=={version}"),
        ("dbt_msghistory/README.md", "revision: v{version}\n"),
        ("dbt_msghistory/dbt_project.yml", "version: {version}\n"),
    ],
)
def test_files_that_name_the_version_agree(file, text):
    assert text.format(version=version("tap-msghistory")) in (ROOT / file).read_text()


def test_the_kubernetes_manifest_uses_settings_that_exist():
    (container,) = yaml.safe_load((ROOT / "docs" / "examples" / "cronjob.yaml").read_text())["spec"][
        "jobTemplate"
    ]["spec"]["template"]["spec"]["containers"]
    names = {variable["name"].removeprefix("TAP_MSGHISTORY_").lower() for variable in container["env"]}
    assert names <= {*SETTINGS["properties"], "loglevel", "meltano_database_uri"}
    assert container["command"] == ["meltano", "run", "tap-msghistory", "target-postgres"]
