"""`make targets`: feed each target with a first and an incremental run, and write docs/targets.md."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

from demo.postgres import warehouse
from demo.processes import running
from targets.catalog import TARGETS, Place, Target
from targets.compare import Findings, compare
from targets.messages import STREAMS, Run, Runs, read_sandbox

REPOSITORY = Path(__file__).resolve().parents[1]
ENVIRONMENTS = REPOSITORY / ".targets"
DOCUMENT = REPOSITORY / "docs" / "targets.md"
MESSAGES = 400
#: Some targets use names that Python 3.10 has removed from the module collections.
OLD_NAMES = (
    "import collections, collections.abc; "
    "vars(collections).setdefault('MutableMapping', collections.abc.MutableMapping)\n"
)
S3 = ("moto[server]==5.1.4", "boto3")
HEAD = """# Targets that were tried

Written by `make targets`. Each target was given the tap's output of a first and an incremental run, of
{messages} messages per vendor, 5% of them with unknown fields. What it had stored was then compared cell by
cell with what it should have. A target that upserts should have the last version of each message, one that
only appends every record. Cells are those of `edna_history`, `partner_gateway_history_sms` and
`sync_windows`; 0 means that no cell differs. State: whether the target printed the tap's last state.

{date}, tap-msghistory {version}.

| target | versions | rows | keys | times | nulls | unknown fields | other cells | state | |
|---|---|---|---|---|---|---|---|---|---|
"""


@dataclass(slots=True)
class Outcome:
    """What a target made of both runs."""

    target: Target
    findings: dict[str, Findings] = field(default_factory=dict)
    keeps_state: bool = False
    error: str = ""

    def total(self, name: str) -> int:
        """Return the sum of one count over the streams."""
        return sum(getattr(found, name) for found in self.findings.values())

    @property
    def differs(self) -> bool:
        """Whether anything is not as it should be."""
        counts = ("missing_keys", "repeated_keys", "times", "nulls", "unknown_fields", "other_cells")
        same_rows = self.total("rows") == self.total("expected_rows")
        return bool(self.error) or not self.keeps_state or not same_rows or any(map(self.total, counts))

    def to_markdown(self) -> str:
        """Return the row of the table."""
        versions = ", ".join(self.target.requirements)
        if self.error:
            cells = [f"fails: {self.error}", *[""] * 6]
        else:
            rows, expected = self.total("rows"), self.total("expected_rows")
            keys = self.total("missing_keys") + self.total("repeated_keys")
            counts = map(self.total, ("times", "nulls", "unknown_fields", "other_cells"))
            state = "yes" if self.keeps_state else "no"
            cells = [f"{rows} of {expected}", *map(str, (keys, *counts)), state]
        note = "; ".join(
            filter(None, [self.target.note, "`objects_as_json`" if self.target.objects_as_json else ""])
        )
        return f"| {' | '.join([self.target.title, versions, *cells, note])} |"


def install(target: Target) -> Path:
    """Return the Python of the target's environment, which is made if it does not exist."""
    return environment(target.requirements, target.overrides)


def environment(requirements: Sequence[str], overrides: Sequence[str] = ()) -> Path:
    """Return the Python of an environment with these packages."""
    uv: str | Path = Path(sys.executable).with_name("uv")
    name = "-".join(requirements).replace("[", "-").replace("]", "").replace("=", "")
    python = ENVIRONMENTS / name / "bin" / "python"
    ready = ENVIRONMENTS / name / "ready"
    if not ready.exists():
        # Old targets import pkg_resources.
        packages = [*requirements, "setuptools<81"]
        here = ENVIRONMENTS / name
        make: list[str | Path] = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, here]
        subprocess.run(make, check=True, capture_output=True)
        fill: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", python, *packages]
        if overrides:
            (here / "overrides.txt").write_text("\n".join(overrides))
            fill += ["--override", here / "overrides.txt"]
        subprocess.run(fill, check=True, capture_output=True)
        for site in here.glob("lib/python*/site-packages"):
            (site / "old_names.pth").write_text(OLD_NAMES)
        ready.touch()
    return python


def try_target(target: Target, runs: Runs, place: Place) -> Outcome:
    """Load both runs, and compare what is stored."""
    outcome = Outcome(target)
    config = place.directory / "config.json"
    command = [str(place.python.with_name(target.command or target.name)), "--config", str(config)]
    env = {**os.environ, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    printed = b""
    for number, run in enumerate((runs.first, runs.second), start=1):
        config.write_text(json.dumps(target.config(replace(place, run=number))))
        finished = subprocess.run(
            command, input=run.lines, capture_output=True, env=env, cwd=place.directory, check=False
        )
        if finished.returncode:
            outcome.error = last_line(finished.stderr)
            return outcome
        printed = finished.stdout
    outcome.keeps_state = is_last_state(printed, runs.second)
    try:
        stored = target.read(place, tuple(STREAMS))
    except Exception as error:  # noqa: BLE001 - whatever it is, the table says so
        outcome.error = f"cannot be read back ({type(error).__name__})"
        return outcome
    for stream, time in STREAMS.items():
        expected = runs.emitted(stream) if target.appends else runs.latest(stream)
        times = [name for name in expected[0] if name.endswith(("At", "Date")) or name in {time, "windowTo"}]
        outcome.findings[stream] = compare(expected, stored[stream], runs.keys[stream], times)
    return outcome


def is_last_state(printed: bytes, run: Run) -> bool:
    """Return whether the last line that a target printed is the tap's last state."""
    lines = printed.splitlines()
    try:
        return bool(lines) and json.loads(lines[-1]) == run.state
    except ValueError:
        return False


def last_line(stderr: bytes) -> str:
    """Return the last line of an error, shortened."""
    lines = stderr.decode(errors="replace").strip().splitlines() or ["no message"]
    return lines[-1][:100].replace("|", "/")


@contextmanager
def s3() -> Iterator[str]:
    """Serve an imitation of S3 with a bucket, and yield its URL."""
    python = environment(S3)
    with running(
        [python.with_name("moto_server"), "-p", "5555"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ):
        url = "http://127.0.0.1:5555"
        create = (
            "import boto3, sys, time\n"
            "s3 = boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1', "
            "aws_access_key_id='key', aws_secret_access_key='secret')\n"
            "for attempt in range(50):\n"
            "    try: s3.create_bucket(Bucket='messages'); break\n"
            "    except Exception: time.sleep(0.2)\n"
        )
        subprocess.run([python, "-c", create, url], check=True)
        yield url


def run_targets(targets: Sequence[Target], *, messages: int = MESSAGES) -> Iterator[Outcome]:
    """Yield what each target makes of the tap's output."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="msghistory-targets-")))
        runs = {
            as_json: read_sandbox(directory, messages=messages, objects_as_json=as_json)
            for as_json in {target.objects_as_json for target in targets}
        }
        s3_url = stack.enter_context(s3()) if any(target.needs_s3 for target in targets) else ""
        for number, target in enumerate(targets):
            try:
                place = Place(directory / str(number), install(target), s3_url=s3_url)
            except subprocess.CalledProcessError as error:
                yield Outcome(target, error=f"cannot be installed: {last_line(error.stderr)}")
                continue
            place.directory.mkdir()
            if target.needs_postgres:
                with warehouse() as house:
                    there = Place(place.directory, place.python, house.dsn, house.schema)
                    yield try_target(target, runs[target.objects_as_json], there)
            else:
                yield try_target(target, runs[target.objects_as_json], place)


def main() -> int:
    """Try all targets, or those whose names contain an argument; write the document if all were tried."""
    from importlib.metadata import version  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="python -m targets", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of targets' names; all by default")
    names = parser.parse_args().names
    chosen = [target for target in TARGETS if not names or any(name in target.title for name in names)]
    lines = []
    for outcome in run_targets(chosen):
        lines.append(outcome.to_markdown())
        print(lines[-1], flush=True)
    if not names:
        today = f"{datetime.now(timezone.utc):%Y-%m-%d}"
        head = HEAD.format(messages=MESSAGES, date=today, version=version("tap-msghistory"))
        DOCUMENT.write_text(head + "\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
