"""Results of the benchmarks as tables: for the terminal, and for `docs/benchmarks.md`.

The document contains measurements only. The targets that a release should meet are printed on the terminal.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.serving import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "benchmarks.md"
PACKAGES = ("tap-msghistory", "singer-sdk", "msgspec", "requests", "orjson", "meltano", "dlt", "pyspark")


@dataclass(frozen=True, slots=True)
class Target:
    """A requirement, the measured value, and whether it meets the requirement."""

    requirement: str
    measured: str
    is_met: bool

    def __str__(self) -> str:
        """Return one line."""
        return f"[{'met' if self.is_met else 'NOT MET'}] {self.requirement}: {self.measured}"


@dataclass(slots=True)
class Section:
    """Results of one part. The cells of the first column are labels, the others are numbers."""

    title: str
    description: str
    header: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    """Measurements that are not in the table, for example ratios."""
    targets: list[Target] = field(default_factory=list)
    """Printed on the terminal only."""

    def to_markdown(self) -> str:
        """Return the section for the document: title, description, table and findings."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        rule = ["-" * width for width in widths[:1]] + ["-" * (width - 1) + ":" for width in widths[1:]]
        table = "\n".join(
            "| " + " | ".join(_justified(cells, widths)) + " |" for cells in (self.header, rule, *self.rows)
        )
        findings = "\n".join(f"- {finding}" for finding in self.findings)
        return "\n\n".join(part for part in (f"## {self.title}", self.description, table, findings) if part)

    def to_terminal(self) -> str:
        """Return the section for the terminal: the document's text, followed by the targets."""
        targets = "\n".join(map(str, self.targets))
        return "\n\n".join(part for part in (self.to_markdown(), targets) if part)


def document(sections: Sequence[Section], introduction: str) -> str:
    """Return the whole document, with the machine and the versions."""
    head = f"# Benchmarks\n\n{introduction}\n\n{_machine()}"
    return "\n\n".join([head, *(section.to_markdown() for section in sections)]) + "\n"


def _justified(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(cells, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]


def _machine() -> str:
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    return (
        f"{datetime.now(timezone.utc):%Y-%m-%d}, {_processor()}, {os.cpu_count()} cores{_memory()}; "
        f"{platform.system()}, {platform.python_implementation()} {platform.python_version()}; "
        f"{versions}, {_postgres_loader()}."
    )


def _memory() -> str:
    try:
        return f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except ValueError:  # not available on macOS
        return ""


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def _postgres_loader() -> str:
    """Return name and version of the loader in `meltano.yml`."""
    found = re.search(r"(\S*target-postgres)==(\S+)", (REPOSITORY / "meltano.yml").read_text())
    return f"{found[1]} {found[2]}" if found else "target-postgres"
