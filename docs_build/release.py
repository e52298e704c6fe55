"""Checks a release, and prints its notes: `python -m docs_build.release v1.0.0`.

Only the standard library is needed, so that the release workflow can run this first.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: Files that name the repository or say how to install the tap, and what they must not contain in a release.
FILES = (
    *("README.md", "dbt_msghistory/README.md", "docs/getting-started.md"),
    *("hub/tap-msghistory.yml", "meltano.yml", "pyproject.toml"),
)
UNRELEASED = ("git.example.com", "not on PyPI")


def errors(tag: str, project: Mapping[str, Any], changelog: str, files: Mapping[str, str]) -> list[str]:
    """Return what must be fixed before `tag` can be released. `files` are the texts of `FILES`."""
    version = project["version"]
    found = []
    if tag != f"v{version}":
        found.append(f"The tag is {tag}, but pyproject.toml has version {version}")
    found += [
        f"{name} contains {text!r}"
        for name, content in files.items()
        for text in UNRELEASED
        if text in content
    ]
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        found.append(f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD'")
    return found


def notes(version: str, changelog: str, repository: str) -> str:
    """Return the changelog's section on a version, without its heading, and with absolute links."""
    section = re.search(
        rf"^## \[{re.escape(version)}\].*?$(.*?)(?=^## \[|\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    text = section[1].strip() + "\n" if section else ""
    return re.sub(r"\]\((?!https?://)", f"]({repository}/blob/v{version}/", text)


def main() -> int:
    """Print the notes of the tag in the first argument. Return 1 if it cannot be released."""
    # Python 3.11; the tests of the functions also run with 3.10.
    import tomllib  # type: ignore[import-not-found] # noqa: PLC0415

    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and its argument
        sys.exit("Usage: python -m docs_build.release TAG")
    tag = sys.argv[1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = errors(
        tag, project, changelog, {name: (ROOT / name).read_text(encoding="utf-8") for name in FILES}
    )
    for line in found:
        print(line, file=sys.stderr)  # noqa: T201 - a command
    if found:
        return 1
    sys.stdout.write(notes(project["version"], changelog, project["urls"]["Repository"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
