"""Loads histories into PostgreSQL and DuckDB, and runs dbt with the package dbt_msghistory on them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dlt
import duckdb
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb

from demo.postgres import Warehouse
from tap_msghistory.config.account import Account
from tap_msghistory.dlt import message_history
from tap_msghistory.schemas import json_type
from tap_msghistory.syncing.run import SyncRun
from tests.support import ROOT, Output, sync

DBT = ROOT / ".clients" / "dbt" / "bin" / "dbt"
PACKAGE = ROOT / "dbt_msghistory"
RAW = "msghistory"
"""Schema of the loaded tables in DuckDB."""

_POSTGRES_TYPES = {"string": "text", "integer": "bigint", "number": "double precision", "boolean": "boolean"}

Row = dict[str, Any]


@dataclass(kw_only=True)
class Models:
    """A database with loaded tables, and the models that dbt builds from them."""

    directory: Path
    environment: Mapping[str, str]
    raw_schema: str
    schema: str
    variables: dict[str, Any] = field(default_factory=dict)

    def dbt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of dbt."""
        variables = {"msghistory_schema": self.raw_schema, **self.variables}
        options = ("--project-dir", PACKAGE, "--profiles-dir", PACKAGE, "--vars", json.dumps(variables))
        return subprocess.run(
            [DBT, *arguments, *options],
            env={
                **os.environ,
                **self.environment,
                "DBT_LOG_PATH": str(self.directory / "logs"),
                "DBT_TARGET_PATH": str(self.directory / "target"),
                "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def build(self, *arguments: str) -> None:
        """Run `dbt build`, which must succeed without a warning."""
        finished = self.dbt("build", *arguments)
        assert finished.returncode == 0, finished.stdout
        assert "WARN=0" in finished.stdout, finished.stdout

    def mart(self, name: str) -> list[Row]:
        """Return the rows of a model."""
        return self.rows(f"SELECT * FROM {self.schema}.{name}")  # noqa: S608 - the name of a model

    def rows(self, query: str) -> list[Row]:
        """Return the rows of a query."""
        raise NotImplementedError


@dataclass(kw_only=True)
class PostgresModels(Models):
    """Models in PostgreSQL. The loaded tables have the tap's column names, like those of target-postgres."""

    warehouse: Warehouse

    @classmethod
    def of(cls, warehouse: Warehouse, directory: Path) -> PostgresModels:
        """Return the models of a warehouse, in a second schema."""
        connection = conninfo_to_dict(warehouse.dsn)
        environment = {
            "DBT_TARGET": "postgres",
            "DBT_POSTGRES_SCHEMA": warehouse.marts_schema,
            **{
                f"DBT_POSTGRES_{name.upper()}": str(connection[name])
                for name in ("host", "port", "user", "password", "dbname")
                if name in connection
            },
        }
        return cls(
            directory=directory,
            environment=environment,
            raw_schema=warehouse.schema,
            schema=warehouse.marts_schema,
            warehouse=warehouse,
        )

    def rows(self, query: str) -> list[Row]:
        cursor = self.warehouse.connection.execute(sql.SQL(query))
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def load(self, settings: dict[str, Any], state: dict[str, Any] | None = None) -> Output:
        """Run the tap, upsert its records, and return its output."""
        output = sync(settings, state=state)
        for stream in SyncRun(Account(settings)).streams:
            records = output.records(stream.name)
            _upsert(self.warehouse, stream.name, stream.schema, stream.primary_keys, records)
        return output


@dataclass(kw_only=True)
class DuckDBModels(Models):
    """Models in a DuckDB file. The loaded tables have names in snake_case, as dlt creates them."""

    @classmethod
    def of(cls, directory: Path) -> DuckDBModels:
        """Return the models of a new file in `directory`."""
        file = directory / "messages.duckdb"
        environment = {"DBT_TARGET": "duckdb", "DBT_DUCKDB_PATH": str(file), "DBT_DUCKDB_SCHEMA": "marts"}
        return cls(directory=directory, environment=environment, raw_schema=RAW, schema="marts")

    @property
    def file(self) -> Path:
        """The file."""
        return Path(self.environment["DBT_DUCKDB_PATH"])

    def rows(self, query: str) -> list[Row]:
        with duckdb.connect(self.file) as connection:
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description or ()]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def load(self, settings: dict[str, Any], pipeline: str = "messages") -> None:
        """Run the dlt source."""
        destination = dlt.destinations.duckdb(str(self.file))
        directory = str(self.directory / "pipelines")
        dlt.pipeline(pipeline, destination=destination, dataset_name=RAW, pipelines_dir=directory).run(
            message_history(**settings)
        )


def _upsert(
    warehouse: Warehouse, table: str, schema: Mapping[str, Any], keys: tuple[str, ...], records: list[Row]
) -> None:
    properties = schema["properties"]
    columns = [sql.Identifier(name) for name in properties]
    types = [sql.SQL(_postgres_type(declaration)) for declaration in properties.values()]
    declared = sql.SQL(", ").join(
        sql.SQL("{} {}").format(column, type_) for column, type_ in zip(columns, types, strict=True)
    )
    key = sql.SQL(", ").join(map(sql.Identifier, keys))
    name = sql.Identifier(table)
    warehouse.connection.execute(
        sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY ({}))").format(name, declared, key)
    )
    statement = sql.SQL("INSERT INTO {} VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}").format(
        name,
        sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
        key,
        sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(column) for column in columns),
    )
    with warehouse.connection.cursor() as cursor:
        cursor.executemany(statement, _values(properties, records))


def _values(properties: Mapping[str, Any], records: list[Row]) -> Iterator[list[Any]]:
    for record in records:
        values = [record.get(name) for name in properties]
        yield [Jsonb(value) if isinstance(value, dict) else value for value in values]


def _postgres_type(declaration: Mapping[str, Any]) -> str:
    if declaration.get("format") == "date-time":
        return "timestamp"
    return _POSTGRES_TYPES.get(json_type(declaration), "jsonb")
