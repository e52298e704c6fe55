"""Prints the licenses of the packages that the distribution depends on, with all extras, as CSV.

The exit code is 1 if a license is not in `ALLOWED`. The locked packages that are installed here are listed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

#: Licenses that allow use in proprietary software, as the packages write them.
#: psycopg, in the extra report, has the LGPL and is not modified.
ALLOWED = (
    "Apache Software License",
    "Apache-2.0",
    "Apache-2.0 OR BSD-2-Clause",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "LGPL-3.0-only",
    "MIT",
    "MIT AND PSF-2.0",
    "MIT License",
    "MIT OR AFL-2.1",
    "MPL-2.0 AND (Apache-2.0 OR MIT)",
    "Mozilla Public License 2.0 (MPL 2.0)",
    "PSF-2.0",
    "Python Software Foundation License",
)

_BIN = Path(sys.executable).parent
#: Exports the locked dependencies with all extras, without the groups for development.
EXPORT = (
    *(str(_BIN / "uv"), "export", "--quiet", "--frozen"),
    *("--no-default-groups", "--all-extras", "--no-emit-project"),
)


def shipped() -> list[str]:
    """Return the names of the locked dependencies, without the groups for development, that are installed."""
    locked = subprocess.run([*EXPORT, "--no-hashes"], check=True, capture_output=True, text=True)  # noqa: S603
    names = set(re.findall(r"^([a-z0-9-]+)(?:\[.*?\])?==", locked.stdout, re.MULTILINE))
    installed = {_normalized(package.name) for package in distributions()}
    return sorted(names & installed)


def report(*options: str) -> subprocess.CompletedProcess[str]:
    """Run pip-licenses on the shipped packages."""
    allowed = ("--allow-only", ";".join(ALLOWED))
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
