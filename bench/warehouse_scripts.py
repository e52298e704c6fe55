"""Scripts that load edna's history into PostgreSQL, to compare: `python -m bench.warehouse_scripts way ...`.

Each merges on the primary key into the table `edna_history` of a schema, as a run does that may repeat
messages.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

PRIMARY_KEY = ("messageId", "direction")
MERGE = {"disposition": "merge", "strategy": "upsert"}
PAGE_SIZE = 1000


def dlt_source(options: argparse.Namespace) -> None:
    """Run the source of this project with its defaults."""
    from tap_msghistory.dlt import message_history  # noqa: PLC0415 - only this script's dependencies

    with _pipeline(options) as pipeline:
        pipeline.run(
            message_history(
                start_date=options.since,
                end_date=options.until,
                edna_api_key="any",
                edna_base_url=options.url,
            )
        )


def dlt_rest_api(options: argparse.Namespace) -> None:
    """Run dlt's generic source, with the file format that PostgreSQL loads fastest."""
    from dlt.sources.rest_api import rest_api_source  # noqa: PLC0415

    history: Any = {
        "name": "edna_history",
        "primary_key": [*PRIMARY_KEY],
        "write_disposition": MERGE,
        "max_table_nesting": 0,
        "endpoint": {
            "path": "api/messages/history",
            "method": "POST",
            "json": {
                "dateFrom": options.since,
                "dateTo": options.until,
                "sort": [{"property": "sentOrReceivedAt", "direction": "ASC"}],
            },
            "data_selector": "content",
            "paginator": {
                "type": "offset",
                "limit": PAGE_SIZE,
                "offset_body_path": "offset",
                "limit_body_path": "limit",
                "total_path": None,
                "has_more_path": "hasNext",
            },
        },
    }
    client: Any = {"base_url": options.url, "headers": {"x-api-key": "any"}}
    with _pipeline(options) as pipeline:
        source = rest_api_source({"client": client, "resources": [history]})
        pipeline.run(source, loader_file_format="parquet")


def hand_written(options: argparse.Namespace) -> None:
    """Copy all pages into a staging table, and merge it: the limit for a process that reads page by page."""
    import psycopg  # noqa: PLC0415
    import requests  # noqa: PLC0415
    from psycopg import sql  # noqa: PLC0415

    from bench.plain_script import edna_pages  # noqa: PLC0415
    from tap_msghistory.schemas import load_schema  # noqa: PLC0415

    properties = load_schema("edna_message")["properties"]
    types = {name: _sql_type(declaration) for name, declaration in properties.items()}
    names = sql.SQL(", ").join(map(sql.Identifier, types))
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_)) for name, type_ in types.items()
    )
    key = sql.SQL(", ").join(map(sql.Identifier, PRIMARY_KEY))
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name))
        for name in types
        if name not in PRIMARY_KEY
    )
    target = sql.Identifier(options.schema, "edna_history")
    with requests.Session() as session, psycopg.connect(options.dsn) as connection:
        session.headers["x-api-key"] = "any"
        create = sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY ({}))")
        connection.execute(create.format(target, columns, key))
        connection.execute(sql.SQL("CREATE TEMPORARY TABLE staging ({}) ON COMMIT DROP").format(columns))
        with connection.cursor().copy("COPY staging FROM STDIN WITH (FORMAT csv)") as copy:
            for rows in edna_pages(session, options.url, options.since, options.until):
                buffer = io.StringIO()
                csv.writer(buffer).writerows([map(row.get, types) for row in rows])
                copy.write(buffer.getvalue())
        merge = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM staging ON CONFLICT ({}) DO UPDATE SET {}")
        connection.execute(merge.format(target, names, names, key, changes))


def _sql_type(declaration: dict[str, Any]) -> str:
    if declaration.get("format") == "date-time":
        return "timestamptz"
    return "bigint" if "integer" in declaration["type"] else "text"


@contextmanager
def _pipeline(options: argparse.Namespace) -> Iterator[Any]:
    """Yield a dlt pipeline into the schema. Its files are temporary, and nothing is reported to dlt."""
    with TemporaryDirectory(prefix="msghistory-bench-") as name:
        os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", DLT_DATA_DIR=name)
        import dlt  # noqa: PLC0415 - reads the variables

        yield dlt.pipeline(
            "bench",
            destination=dlt.destinations.postgres(options.dsn),
            dataset_name=options.schema,
            pipelines_dir=name,
        )


WAYS = {"dlt_source": dlt_source, "dlt_rest_api": dlt_rest_api, "hand_written": hand_written}


def main() -> None:
    """Load a history once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=WAYS)
    for name in ("url", "since", "until", "dsn", "schema"):
        parser.add_argument(name)
    options = parser.parse_args()
    WAYS[options.way](options)


if __name__ == "__main__":
    main()
