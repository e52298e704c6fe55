"""A Meltano project with this repository's `meltano.yml`, in a temporary directory."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from psycopg.conninfo import conninfo_to_dict

from demo.postgres import Warehouse
from demo.processes import Command, CommandError, capture, run
from msghistory_sandbox.server import HOST, Sandbox

REPOSITORY = Path(__file__).resolve().parents[1]
MELTANO = Path(sys.executable).with_name("meltano")
DIFFERENCES = 3
"""Exit code of --reconcile if numbers differ."""
_DBT_CONNECTION = ("host", "port", "user", "password", "dbname", "sslmode")
EXTRACT_AND_LOAD = ("tap-msghistory", "target-postgres")
BUILD_MODELS = "dbt-postgres:build"
EXCLUDED_VARIABLES = ("DBT_", "MELTANO_", "TAP_MSGHISTORY_", "TARGET_POSTGRES_", "PYTHON", "VIRTUAL_ENV")
"""Prefixes of inherited variables that would change the configuration of Meltano, plugins or Python."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A Meltano project whose tap reads from a sandbox and whose target loads into a warehouse."""

    directory: Path
    env: dict[str, str]

    def sync(self, *then: str, **settings: str) -> None:
        """Run the pipeline once, with additional settings of the tap, and `then` further blocks of Meltano.

        Raises CommandError if a block fails.
        """
        variables = {f"TAP_MSGHISTORY_{name.upper()}": value for name, value in settings.items()}
        self.meltano("run", *EXTRACT_AND_LOAD, *then, **variables)

    def reconcile(self, counts: str) -> str:
        """Compare counts of the warehouse with the vendors; return the report.

        Raises CommandError if they could not be compared.
        """
        command: Command = [MELTANO, "--log-level=warning", "invoke", "tap-msghistory", "--reconcile", "-"]
        finished = capture(command, counts, cwd=self.directory, env=self.env)
        if finished.returncode not in {0, DIFFERENCES}:
            raise CommandError(f"--reconcile failed ({finished.returncode}):\n{finished.stderr}")
        return finished.stdout.strip()

    def meltano(self, *arguments: str, **variables: str) -> None:
        """Run a command of Meltano. Raises CommandError if it fails."""
        run(
            [MELTANO, *arguments],
            log=self.directory / f"{arguments[0]}.log",
            env={**self.env, **variables},
            cwd=self.directory,
        )


@contextmanager
def pipeline(
    sandbox: Sandbox, warehouse: Warehouse, *, start_date: str, more_plugins: Sequence[str] = ()
) -> Iterator[Pipeline]:
    """Create the project, and install tap, target and `more_plugins`, each into its own environment.

    All settings beyond `meltano.yml` are environment variables.
    """
    with TemporaryDirectory(prefix="msghistory-") as name:
        directory = Path(name)
        shutil.copy(REPOSITORY / "meltano.yml", directory)
        # Meltano splits the pip URL like a shell. A symbolic link avoids quoting the path of the repository.
        (directory / "tap").symlink_to(REPOSITORY)
        (directory / ".env").write_text("TAP_MSGHISTORY_PIP_URL=./tap\n")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(EXCLUDED_VARIABLES)}
        project = Pipeline(
            directory,
            {
                **inherited,
                **dict.fromkeys(("no_proxy", "NO_PROXY"), no_proxy()),
                "MELTANO_CLI_DISABLE_VERSION_CHECK": "1",
                "XDG_STATE_HOME": name,  # otherwise Meltano writes logs to the home directory
                "TAP_MSGHISTORY_START_DATE": start_date,
                "TAP_MSGHISTORY_EDNA_BASE_URL": sandbox.edna_base_url,
                "TAP_MSGHISTORY_EDNA_API_KEY": sandbox.edna_options.key,
                "TAP_MSGHISTORY_PARTNER_GATEWAY_BASE_URL": sandbox.gateway_base_url,
                "TAP_MSGHISTORY_PARTNER_GATEWAY_API_KEY": sandbox.gateway_options.key,
                "TARGET_POSTGRES_SQLALCHEMY_URL": sqlalchemy_url(warehouse.dsn),
                "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": warehouse.schema,
                **_dbt_variables(warehouse),
            },
        )
        project.meltano("install", *EXTRACT_AND_LOAD, *more_plugins)
        yield project


def _dbt_variables(warehouse: Warehouse) -> dict[str, str]:
    """Return the settings of the utility dbt-postgres: models that record the history of statuses."""
    connection = conninfo_to_dict(warehouse.dsn)
    variables = {"msghistory_schema": warehouse.schema, "msghistory_status_history": True}
    package = str(REPOSITORY / "dbt_msghistory")
    settings = {
        "project_dir": package,
        "profiles_dir": package,
        "schema": warehouse.marts_schema,
        "vars": json.dumps(variables),
        **{name: str(connection[name]) for name in _DBT_CONNECTION if name in connection},
    }
    return {f"DBT_POSTGRES_{name.upper()}": value for name, value in settings.items()}


def no_proxy() -> str:
    """Return a value of `no_proxy` that includes the sandbox's host."""
    inherited = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    return f"{inherited},{HOST}" if inherited else HOST


def sqlalchemy_url(dsn: str) -> str:
    """Convert a libpq URL to a SQLAlchemy URL with psycopg 3, which target-postgres needs for COPY."""
    return f"postgresql+psycopg://{dsn.partition('://')[2]}"
