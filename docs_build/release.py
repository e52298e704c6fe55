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
PLACEHOLDER = "example.com"


def errors(tag: str, project: Mapping[str, Any], changelog: str) -> list[str]:
    """Return what must be fixed before `tag` can be released, one line each."""
    version = project["version"]
    found = []
    if tag != f"v{version}":
        found.append(f"The tag is {tag}, but pyproject.toml has version {version}")
    if placeholders := [name for name, url in project["urls"].items() if PLACEHOLDER in url]:
        found.append(f"project.urls in pyproject.toml has placeholders: {', '.join(placeholders)}")
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        found.append(f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD'")
    return found


def notes(version: str, changelog: str) -> str:
    """Return the changelog's section on a version, without its heading."""
    section = re.search(
        rf"^## \[{re.escape(version)}\].*?$(.*?)(?=^## \[|\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    return section[1].strip() + "\n" if section else ""


def main() -> int:
    """Print the notes of the tag in the first argument. Return 1 if it cannot be released."""
    # Python 3.11; the tests of the functions also run with 3.10.
    import tomllib  # type: ignore[import-not-found] # noqa: PLC0415

    tag = sys.argv[1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = errors(tag, project, changelog)
    for line in found:
        print(line, file=sys.stderr)  # noqa: T201 - a command
    if found:
        return 1
    sys.stdout.write(notes(project["version"], changelog))
    return 0


if __name__ == "__main__":
    sys.exit(main())
