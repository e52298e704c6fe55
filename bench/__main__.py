"""`make bench`: take the measures, print them, and write `docs/benchmarks.md`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from bench.report import DOCUMENT, Section, document
from bench.scale import FULL, QUICK, Scale
from demo.processes import CommandError, interruptible

Part = Callable[[Scale], Section]
PARTS = ("cpu", "latency", "growth", "start", "pipe", "revisits", "spark")
"""Modules of `bench.parts`. Those that take memory themselves come last: see `Usage.peak_mib`."""
HOW = """Written by `make bench`, which anybody can run again, best on a machine that has nothing else to do.
It takes about a quarter of an hour; `.venv/bin/python -m bench cpu latency` takes only some of the measures,
`--quick` takes them with small numbers, and neither changes this file. What stands in one table was measured
in one session, in turns, and figures are medians: ratios hold on other machines, absolute times do not."""


def main() -> int:
    """Run the chosen parts; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="small numbers, to see whether it works")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    try:
        with interruptible():
            sections = _run(options.parts or PARTS, QUICK if options.quick else FULL)
    except KeyboardInterrupt:
        return 130
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    if options.parts or options.quick:
        print(f"{DOCUMENT.name} is left as it is. What is promised, is so of the full numbers.")
    else:
        DOCUMENT.parent.mkdir(exist_ok=True)
        DOCUMENT.write_text(document(sections, HOW))
    return 0


def _run(parts: Sequence[str], scale: Scale) -> list[Section]:
    sections = []
    for part in sorted(parts, key=PARTS.index):
        run: Part = import_module(f"bench.parts.{part}").run
        sections.append(run(scale))
        print(f"{sections[-1].to_markdown()}\n", flush=True)
    return sections


if __name__ == "__main__":
    sys.exit(main())
