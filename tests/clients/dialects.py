"""Compile the dbt package for Snowflake and BigQuery, without a connection, and parse the queries.

Usage: dialects.py PACKAGE. Runs in an environment with the packages in dialects.txt.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlglot

PROFILES = {
    "snowflake": {
        "account": "none", "user": "none", "password": "none",
        "warehouse": "none", "database": "none", "schema": "marts",
    },
    "bigquery": {"method": "oauth-secrets", "token": "none", "project": "none", "dataset": "marts"},
}  # fmt: skip
VARIABLES = {"msghistory_introspect": False, "msghistory_status_history": True}

package = sys.argv[1]
with TemporaryDirectory() as name:
    directory = Path(name)
    for dialect, connection in PROFILES.items():
        profile = {"msghistory": {"target": dialect, "outputs": {dialect: {"type": dialect, **connection}}}}
        (directory / "profiles.yml").write_text(json.dumps(profile))
        target = directory / dialect
        subprocess.run(
            [
                Path(sys.executable).with_name("dbt"), "compile", "--no-introspect", "--no-populate-cache",
                "--project-dir", package, "--profiles-dir", directory, "--target-path", target,
                "--log-path", directory, "--vars", json.dumps(VARIABLES),
            ],
            check=True,
        )  # fmt: skip
        queries = [*(target / "compiled").rglob("*.sql")]
        for query in queries:
            sqlglot.parse_one(query.read_text(), dialect=dialect)
        print(f"{dialect}: {len(queries)} queries")  # noqa: T201 - the result
        if len(queries) < 20:
            sys.exit("Some queries were not compiled")
