"""A Meltano project made from this repository's `meltano.yml`, in a directory that passes away."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from demo.postgres import Warehouse
from demo.processes import run
from msghistory_sandbox.server import HOST, Sandbox

REPOSITORY = Path(__file__).resolve().parents[1]
MELTANO = Path(sys.executable).with_name("meltano")
FOREIGN = ("MELTANO_", "TAP_MSGHISTORY_", "TARGET_POSTGRES_", "PYTHON", "VIRTUAL_ENV")
"""Beginnings of variables that would steer Meltano, the plugins or their interpreters elsewhere."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Tap and target, installed by Meltano, between a sandbox and a warehouse."""

    directory: Path
    env: dict[str, str]

    def sync(self, **settings: str) -> None:
        """Run the pipeline once, with further settings of the tap; CommandError if it fails."""
        settings = {f"TAP_MSGHISTORY_{name.upper()}": value for name, value in settings.items()}
        self._meltano("run", "tap-msghistory", "target-postgres", **settings)

    def install(self) -> None:
        """Install tap and target, each into an environment of its own."""
        self._meltano("install")

    def _meltano(self, *arguments: str, **variables: str) -> None:
        run(
            [MELTANO, *arguments],
            log=self.directory / f"{arguments[0]}.log",
            env={**self.env, **variables},
            cwd=self.directory,
        )


@contextmanager
def pipeline(sandbox: Sandbox, warehouse: Warehouse, *, start_date: str) -> Iterator[Pipeline]:
    """Set the project up: `meltano.yml` as it is, and everything else from the environment."""
    with TemporaryDirectory(prefix="msghistory-") as name:
        directory = Path(name)
        shutil.copy(REPOSITORY / "meltano.yml", directory)
        # Meltano splits the pip URL like a shell; a link of our own naming has nothing to quote.
        (directory / "tap").symlink_to(REPOSITORY)
        (directory / ".env").write_text("TAP_MSGHISTORY_PIP_URL=./tap\n")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
        made = Pipeline(
            directory,
            {
                **inherited,
                **dict.fromkeys(("no_proxy", "NO_PROXY"), no_proxy()),
                "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
                "XDG_STATE_HOME": name,  # Meltano's logs would stay in the home directory
                "TAP_MSGHISTORY_START_DATE": start_date,
                "TAP_MSGHISTORY_EDNA_BASE_URL": sandbox.edna_base_url,
                "TAP_MSGHISTORY_EDNA_API_KEY": sandbox.edna_options.key,
                "TAP_MSGHISTORY_PARTNER_GATEWAY_BASE_URL": sandbox.gateway_base_url,
                "TAP_MSGHISTORY_PARTNER_GATEWAY_API_KEY": sandbox.gateway_options.key,
                "TARGET_POSTGRES_SQLALCHEMY_URL": sqlalchemy_url(warehouse.dsn),
                "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": warehouse.schema,
            },
        )
        made.install()
        yield made


def no_proxy() -> str:
    """Keep what goes to the sandbox off a proxy."""
    inherited = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    return f"{inherited},{HOST}" if inherited else HOST


def sqlalchemy_url(dsn: str) -> str:
    """Name the driver in a URL of libpq's: target-postgres copies with psycopg 3 only."""
    return f"postgresql+psycopg://{dsn.partition('://')[2]}"
