"""The targets to test: installation, configuration, and reading of the stored rows."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Destination:
    """Destination of a target's data: a directory, a PostgreSQL schema or an S3 endpoint."""

    directory: Path
    python: Path  #: Python of the target's environment
    dsn: str = ""
    schema: str = ""
    s3_url: str = ""
    run: int = 1  #: number of the run that is loaded, 1 or 2


@dataclass(frozen=True, slots=True)
class Target:
    """A Singer target and its requirements."""

    name: str
    requirements: Sequence[str]
    config: Callable[[Destination], dict[str, Any]]
    read: Callable[[Destination, Sequence[str]], Rows]
    command: str = ""  #: executable; default: `name`
    variant: str = ""  #: distinguishes configurations of the same target
    appends: bool = False
    objects_as_json: bool = False
    needs_postgres: bool = False
    needs_s3: bool = False
    note: str = ""
    overrides: Sequence[str] = ()  #: dependency overrides for uv

    @property
    def title(self) -> str:
        """The name, with the variant if it has one."""
        return f"{self.name} ({self.variant})" if self.variant else self.name


def postgres_parts(destination: Destination) -> dict[str, Any]:
    """Return host, port, user, password and database of the DSN."""
    parts = conninfo_to_dict(destination.dsn)
    return {
        "host": parts.get("host", "127.0.0.1"),
        "port": int(parts.get("port") or 5432),
        "user": parts.get("user", "postgres"),
        # Targets require a password, even if the server does not.
        "password": parts.get("password", "none"),
        "dbname": parts.get("dbname", "postgres"),
    }


def read_postgres(destination: Destination, streams: Sequence[str]) -> Rows:
    """Read the tables of a schema."""
    rows: Rows = {}
    with psycopg.connect(destination.dsn, options="-c timezone=UTC") as connection:
        for stream in streams:
            table = sql.Identifier(destination.schema, stream)
            cursor = connection.execute(sql.SQL("SELECT * FROM {}").format(table))
            names = [column.name for column in cursor.description or ()]
            rows[stream] = [dict(zip(names, row, strict=True)) for row in cursor]
    return rows


def read_jsonl(destination: Destination, streams: Sequence[str]) -> Rows:
    """Read JSON Lines files whose names start with the name of the stream."""
    return {
        stream: [
            json.loads(line)
            for path in sorted(destination.directory.glob(f"**/{stream}*.json*"))
            for line in path.read_text().splitlines()
        ]
        for stream in streams
    }


def read_csv(destination: Destination, streams: Sequence[str]) -> Rows:
    """Read CSV files whose names start with the name of the stream."""
    csv.field_size_limit(2**31 - 1)
    rows: Rows = {}
    for stream in streams:
        rows[stream] = []
        for path in sorted(destination.directory.glob(f"**/{stream}*.csv")):
            with path.open(newline="") as file:
                rows[stream] += [*csv.DictReader(file)]
    return rows


def read_sqlite(destination: Destination, streams: Sequence[str]) -> Rows:
    """Read the tables of an SQLite file."""
    connection = sqlite3.connect(destination.directory / "messages.db")
    connection.row_factory = sqlite3.Row
    try:
        return {
            stream: [dict(row) for row in connection.execute(f'SELECT * FROM "{stream}"')]  # noqa: S608
            for stream in streams
        }
    finally:
        connection.close()


def read_with(code: str) -> Callable[[Destination, Sequence[str]], Rows]:
    """Return a reader that runs a script in the target's environment.

    The script's arguments are the directory and the streams; it prints the rows as JSON.
    """

    def read(destination: Destination, streams: Sequence[str]) -> Rows:
        arguments = [str(destination.python), "-c", code, str(destination.directory), *streams]
        env = {**os.environ, "S3_URL": destination.s3_url}
        return dict(json.loads(subprocess.run(arguments, check=True, capture_output=True, env=env).stdout))

    return read


_DUCKDB = """
import duckdb, json, sys
connection = duckdb.connect(f"{sys.argv[1]}/messages.duckdb")
rows = {}
for stream in sys.argv[2:]:
    cursor = connection.execute(f'SELECT * FROM main."{stream}"')
    names = [column[0] for column in cursor.description]
    rows[stream] = [dict(zip(names, row)) for row in cursor.fetchall()]
print(json.dumps(rows, default=str))
"""
_AVRO = """
import fastavro, glob, json, sys
rows = {}
for stream in sys.argv[2:]:
    rows[stream] = []
    for path in sorted(glob.glob(f"{sys.argv[1]}/**/*.{stream}.avro", recursive=True)):
        with open(path, "rb") as file:
            rows[stream] += [*fastavro.reader(file)]
print(json.dumps(rows, default=str))
"""
_PARQUET = """
import boto3, io, json, os, sys
import pyarrow.parquet as parquet
bucket = boto3.resource("s3", endpoint_url=os.environ["S3_URL"], region_name="us-east-1",
    aws_access_key_id="key", aws_secret_access_key="secret").Bucket("messages")
rows = {stream: [] for stream in sys.argv[2:]}
for item in sorted(bucket.objects.filter(Prefix="parquet"), key=lambda item: item.last_modified):
    for stream in rows:
        if stream in item.key:
            rows[stream] += parquet.ParquetFile(io.BytesIO(item.get()["Body"].read())).read().to_pylist()
print(json.dumps(rows, default=str))
"""
_S3 = """
import boto3, gzip, json, os, sys
bucket = boto3.resource("s3", endpoint_url=os.environ["S3_URL"], region_name="us-east-1",
    aws_access_key_id="key", aws_secret_access_key="secret").Bucket("messages")
rows = {stream: [] for stream in sys.argv[2:]}
for item in sorted(bucket.objects.filter(Prefix="jsonl"), key=lambda item: item.last_modified):
    body = item.get()["Body"].read()
    body = gzip.decompress(body) if body[:2] == bytes([31, 139]) else body
    for stream in rows:
        if stream in item.key:
            rows[stream] += [json.loads(line) for line in body.splitlines()]
print(json.dumps(rows, default=str))
"""


def _meltanolabs(destination: Destination, query: str = "") -> dict[str, Any]:
    url = f"postgresql+psycopg://{destination.dsn.partition('://')[2]}"
    if query:
        url += f"{'&' if '?' in url else '?'}{query}"
    return {"sqlalchemy_url": url, "default_target_schema": destination.schema}


def _pipelinewise(destination: Destination) -> dict[str, Any]:
    return {**postgres_parts(destination), "default_target_schema": destination.schema, "hard_delete": False}


def _datamill(destination: Destination) -> dict[str, Any]:
    parts = postgres_parts(destination)
    names = {"dbname": "postgres_database", "user": "postgres_username"}
    config = {names.get(name, f"postgres_{name}"): value for name, value in parts.items()}
    return {**config, "postgres_schema": destination.schema, "disable_collection": True}


def _directory(name: str, **more: Any) -> Callable[[Destination], dict[str, Any]]:
    return lambda destination: {name: str(destination.directory), **more}


FAST_SETTINGS = {
    "use_copy": True,
    "validate_records": False,
    "add_record_metadata": False,
    "activate_version": False,
}
TARGETS = (
    Target(
        "target-postgres",
        ["meltanolabs-target-postgres==0.8.1"],
        lambda destination: {**_meltanolabs(destination), **FAST_SETTINGS},
        read_postgres,
        variant="MeltanoLabs, settings in meltano.yml",
        needs_postgres=True,
    ),
    Target(
        "target-postgres",
        ["meltanolabs-target-postgres==0.8.1"],
        lambda destination: _meltanolabs(destination, "options=-c%20timezone%3DAmerica/New_York"),
        read_postgres,
        variant="MeltanoLabs, defaults, New York",
        needs_postgres=True,
        note="Shifts times by the time zone of the session",
    ),
    Target(
        "target-postgres",
        ["meltanolabs-target-postgres==0.8.1"],
        lambda destination: _meltanolabs(destination, "options=-c%20timezone%3DUTC"),
        read_postgres,
        variant="MeltanoLabs, defaults, `timezone=UTC`",
        needs_postgres=True,
    ),
    Target(
        "target-postgres",
        ["pipelinewise-target-postgres==2.1.2"],
        _pipelinewise,
        read_postgres,
        variant="PipelineWise",
        needs_postgres=True,
        note="Lower-case columns; replaces newlines with a backslash and an n",
    ),
    Target(
        "target-postgres",
        ["singer-target-postgres==0.2.4"],
        _datamill,
        read_postgres,
        variant="datamill",
        needs_postgres=True,
        objects_as_json=True,
        # The pinned psycopg2 cannot be compiled for current Python versions.
        overrides=("psycopg2; python_version < '3'", "psycopg2-binary>=2.9"),
        note="Without `objects_as_json`, object columns are dropped; tested with a newer psycopg2",
    ),
    Target("target-jsonl", ["target-jsonl==0.1.4"], _directory("destination_path"), read_jsonl, appends=True),
    Target(
        "target-csv",
        ["meltanolabs-target-csv==0.5.0"],
        _directory(
            "output_path",
            file_naming_scheme="{stream_name}-{timestamp}.csv",
            timestamp_format="%Y%m%dT%H%M%S%f",  # the default, seconds, is the same for two fast runs
        ),
        read_csv,
        variant="MeltanoLabs",
        appends=True,
        objects_as_json=True,
        note="Without a timestamp in `file_naming_scheme` each run overwrites the file",
    ),
    Target(
        "target-csv",
        ["target-csv==0.3.0"],
        _directory("destination_path"),
        read_csv,
        variant="singer-io",
        appends=True,
        objects_as_json=True,
        note="Writes only the columns of the first row; requires Python 3.9, or a shim for `collections`",
    ),
    Target(
        "target-sqlite",
        ["target-sqlite==0.2.0"],
        lambda destination: {"database": str(destination.directory / "messages")},
        read_sqlite,
        objects_as_json=True,
        note="Columns are in snake_case; without `objects_as_json`, object columns are dropped; "
        "requires Python 3.9, or a shim for `collections`",
    ),
    Target(
        "target-duckdb",
        ["target-duckdb==0.8.0", "duckdb==1.1.3"],
        lambda destination: {
            "path": str(destination.directory / "messages.duckdb"),
            "default_target_schema": "main",
        },
        read_with(_DUCKDB),
        note="Requires duckdb 1.1.3: with newer versions, the first row of each batch is lost",
    ),
    Target(
        "target-avro",
        ["target-avro==0.2.0"],
        lambda destination: {
            "prefix": str(destination.directory / f"run{destination.run}"),
            "disable_collection": True,
        },
        read_with(_AVRO),
        appends=True,
        objects_as_json=True,
        note="Truncates times to seconds; without `objects_as_json`, unknown fields are lost; overwrites its "
        "files, so each run needs a different `prefix`",
    ),
    Target(
        "target-s3",
        ["plinxore-target-s3==0.1.7"],
        lambda destination: {
            "format": {"format_type": "parquet"},
            "prefix": "parquet",
            "append_date_to_filename_grain": "microsecond",
            "cloud_provider": {
                "cloud_provider_type": "aws",
                "aws": {
                    "aws_access_key_id": "key",
                    "aws_secret_access_key": "secret",
                    "aws_region": "us-east-1",
                    "aws_bucket": "messages",
                    "aws_endpoint_override": destination.s3_url,
                },
            },
        },
        read_with(_PARQUET),
        variant="Parquet",
        note="Truncates times to seconds; fails without `objects_as_json`",
        appends=True,
        objects_as_json=True,
        needs_s3=True,
    ),
    Target(
        "target-s3-jsonl",
        ["target-s3-jsonl==2.0.1"],
        lambda destination: {
            "s3_bucket": "messages",
            "aws_access_key_id": "key",
            "aws_secret_access_key": "secret",
            "aws_endpoint_url": destination.s3_url,
            "path_template": "jsonl/{stream}-{date_time:%Y%m%dT%H%M%S%f}.jsonl",
        },
        read_with(_S3),
        appends=True,
        needs_s3=True,
    ),
)
