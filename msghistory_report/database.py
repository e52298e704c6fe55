"""Queries on a warehouse: PostgreSQL or a DuckDB file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from msghistory_report.errors import ReportError

Row = dict[str, Any]

_DUCKDB = "duckdb:///"
_POSTGRESQL = ("postgresql://", "postgres://")
_FORMS = "postgresql://user:password@host/database or duckdb:///file (duckdb:////directory/file)"
_CONNECT_TIMEOUT_SECONDS = "10"


class Warehouse:
    """The schema of a warehouse that contains the marts."""

    def __init__(self, execute: Callable[[str], Any], schema: str) -> None:
        """Store a connection's function that runs a query and returns a DB-API cursor."""
        self._execute = execute
        self.schema = schema

    def tables(self) -> set[str]:
        """Return the names of the tables and views in the schema."""
        literal = self.schema.replace("'", "''")
        query = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{literal}'"  # noqa: S608
        return {row["table_name"] for row in self.rows(query)}

    def rows(self, query: str) -> list[Row]:
        """Run a query and return its rows. `{schema}` in the query is the schema's quoted name."""
        quoted = '"' + self.schema.replace('"', '""') + '"'
        cursor = self._execute(query.replace("{schema}", quoted))
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@contextmanager
def opened(dsn: str, schema: str) -> Iterator[Warehouse]:
    """Open a warehouse for reading. Raises `ReportError`."""
    if dsn.startswith(_POSTGRESQL):
        yield from _postgresql(dsn, schema)
    elif dsn.startswith(_DUCKDB):
        yield from _duckdb(dsn.removeprefix(_DUCKDB), schema)
    else:
        raise ReportError(f"--dsn must have the form {_FORMS}")


def _postgresql(dsn: str, schema: str) -> Iterator[Warehouse]:
    credentials = dsn.partition("://")[2].rpartition("@")[0]
    if re.search("[@/?]", credentials):
        # A part of the password would be read as the host, which error messages contain.
        raise ReportError(
            "Special characters in the user and the password of --dsn must be percent-encoded, "
            "for example @ as %40"
        )
    try:
        options: dict[str, Any] = {"connect_timeout": _CONNECT_TIMEOUT_SECONDS, **conninfo_to_dict(dsn)}
        connection = psycopg.connect(make_conninfo(**options))
    except psycopg.ProgrammingError as error:
        # Its text quotes the URL, which may contain a password.
        raise ReportError(f"--dsn is not a valid URL. It must have the form {_FORMS}") from error
    except psycopg.OperationalError as error:
        raise ReportError(f"No connection: {_first_line(error)}. Check --dsn and the server") from error
    # One snapshot for all queries, even if dbt replaces tables in the meantime.
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    connection.read_only = True
    with connection:
        try:
            yield Warehouse(lambda query: connection.execute(query.encode()), schema)
        except psycopg.Error as error:
            raise ReportError(
                f"A query failed: {_first_line(error)}. Run dbt build, and try again"
            ) from error


def _duckdb(path: str, schema: str) -> Iterator[Warehouse]:
    if not Path(path).is_file():
        raise ReportError(f"The file {path} does not exist. An absolute path needs four slashes: duckdb:////")
    try:
        with duckdb.connect(path, read_only=True) as connection:
            yield Warehouse(connection.execute, schema)
    except duckdb.Error as error:
        raise ReportError(f"DuckDB failed: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
