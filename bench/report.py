"""What was measured, as tables: on the terminal and in Markdown, with the machine and the versions."""

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
PACKAGES = ("tap-msghistory", "singer-sdk", "msgspec", "requests", "orjson", "meltano", "pyspark")


@dataclass(frozen=True, slots=True)
class Claim:
    """What is promised, what was measured, and whether it held."""

    promise: str
    measured: str
    holds: bool

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.promise}: {self.measured}{'' if self.holds else ' — NOT REACHED'}"


@dataclass(slots=True)
class Section:
    """A part's outcome; the cells of the first column are text, the others figures."""

    title: str
    explanation: str
    header: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)

    def to_markdown(self) -> str:
        """Return the section, headed by its title."""
        widths = [max(map(len, column)) for column in zip(self.header, *self.rows, strict=True)]
        rule = ["-" * width for width in widths[:1]] + ["-" * (width - 1) + ":" for width in widths[1:]]
        table = "\n".join(
            "| " + " | ".join(_justified(cells, widths)) + " |" for cells in (self.header, rule, *self.rows)
        )
        claims = "\n".join(f"- {claim}" for claim in self.claims)
        return "\n\n".join(part for part in (f"## {self.title}", self.explanation, table, claims) if part)


def document(sections: Sequence[Section], how: str) -> str:
    """Return the whole document; `how` tells the scale and the way to run it again."""
    head = f"# Benchmarks\n\n{how}\n\n{_machine()}"
    return "\n\n".join([head, *(section.to_markdown() for section in sections)]) + "\n"


def _justified(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(cells, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]


def _machine() -> str:
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    return (
        f"{datetime.now(timezone.utc):%Y-%m-%d}, {_processor()}, {os.cpu_count()} cores{_memory()}; "
        f"{platform.system()}, {platform.python_implementation()} {platform.python_version()}; "
        f"{versions}, {_target()}."
    )


def _memory() -> str:
    try:
        return f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except ValueError:  # macOS does not tell
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
        return "none"


def _target() -> str:
    found = re.search(r"(\S*target-postgres)==(\S+)", (REPOSITORY / "meltano.yml").read_text())
    return f"{found[1]} {found[2]}" if found else "target-postgres"
