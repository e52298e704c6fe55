"""The standard connector tests of Airbyte's CDK. Runs in PyAirbyte's environment, with pytest.

The CDK runs a connector either in this process or as a Docker image. Here, the variable CONNECTOR contains
the path of an executable instead. The working directory has the file acceptance-test-config.yml.
"""

from __future__ import annotations

import json
import os
import subprocess

from airbyte_cdk.models import AirbyteMessageSerializer
from airbyte_cdk.test import entrypoint_wrapper
from airbyte_cdk.test.standard_tests.source_base import SourceTestSuiteBase


def run_executable(source, args, expecting_exception=None, *, expected_outcome=None):  # noqa: ARG001
    finished = subprocess.run([source.path, *args], capture_output=True, text=True, check=False)
    for line in finished.stdout.splitlines():
        AirbyteMessageSerializer.load(json.loads(line))  # the CDK treats a malformed message as a log line
    return entrypoint_wrapper.EntrypointOutput(
        messages=finished.stdout.splitlines(), command=args, stderr=finished.stderr
    )


entrypoint_wrapper._run_command = run_executable


class Executable:
    """The executable, with the method by which the CDK recognizes a connector."""

    path = os.environ["CONNECTOR"]

    def spec(self, logger):  # pragma: no cover - never called
        raise NotImplementedError(logger)


class TestConnector(SourceTestSuiteBase):  # type: ignore[misc] # not installed where mypy runs
    """All tests of a source that do not build an image."""

    connector = Executable
