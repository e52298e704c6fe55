"""Prints the licenses of the packages that the distribution depends on, with all extras, as CSV.

The exit code is 1 if a license is not in `ALLOWED`. The locked packages that are installed here are listed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

#: Parts of the names of licenses that allow use in proprietary software. The extra report includes psycopg,
#: which has the LGPL and is not modified.
ALLOWED = (
    "Apache",
    "BSD",
    "GNU Lesser",
    "LGPL",
    "MIT",
    "MPL",
    "Mozilla",
    "PSF",
    "Python Software Foundation",
)

_BIN = Path(sys.executable).parent


def shipped() -> list[str]:
    """Return the names of the locked dependencies, without the groups for development, that are installed."""
    export = ("export", "--frozen", "--no-default-groups", "--all-extras", "--no-emit-project", "--no-hashes")
    locked = subprocess.run([_BIN / "uv", "--quiet", *export], check=True, capture_output=True, text=True)  # noqa: S603
    names = set(re.findall(r"^([a-z0-9-]+)(?:\[.*?\])?==", locked.stdout, re.MULTILINE))
    installed = {_normalized(package.name) for package in distributions()}
    return sorted(names & installed)


def report(*options: str) -> subprocess.CompletedProcess[str]:
    """Run pip-licenses on the shipped packages."""
    allowed = ("--partial-match", "--allow-only", ";".join(ALLOWED))
    return subprocess.run(  # noqa: S603 - a program of this environment
        [_BIN / "pip-licenses", "--from=mixed", "--format=csv", *allowed, *options, "--packages", *shipped()],
        check=False,
        capture_output=True,
        text=True,
    )


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    finished = report("--with-urls")
    sys.stdout.write(finished.stdout)
    sys.stderr.write(finished.stderr)
    sys.exit(finished.returncode)
