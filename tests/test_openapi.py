"""The OpenAPI description of both APIs is what the sandbox serves."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec
import pytest
import requests
from starlette.routing import Route

from msghistory_sandbox import gateway
from msghistory_sandbox.app import build_app
from msghistory_sandbox.clock import Clock
from msghistory_sandbox.edna_query import AddressType, Property, Query
from msghistory_sandbox.openapi import description
from msghistory_sandbox.options import GatewayOptions, GatewayShape
from msghistory_sandbox.server import Sandbox
from tests.processes import environment
from tests.support import END_MS, ROOT

SCHEMATHESIS = ROOT / ".clients" / "schemathesis" / "bin" / "st"
OWN = ("/sandbox/", "/sandbox/stats", "/sandbox/clock", "/openapi.json")
"""Paths of the sandbox itself."""
EDNA = ("--include-tag=edna", "--phases=examples,coverage,fuzzing")
"""A valid query may be refused: its range is too long, or its subjectId is unknown."""


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    sandbox = Sandbox.generate(messages=300, days=20, end_ms=END_MS, clock=Clock(END_MS, frozen=True))
    sandbox.gateway_options.requests_per_minute, sandbox.gateway_options.requests_per_second = 10**6, None
    with sandbox.serve():
        yield sandbox


def test_the_description_has_every_route_and_no_other():
    routes = {
        (route.path.replace("{id}", "{exportId}"), method)
        for route in build_app(Sandbox()).routes
        if isinstance(route, Route) and route.path not in OWN
        for method in (route.methods or set()) - {"HEAD"}
    }
    described = {
        (path, method.upper())
        for path, operations in description("")["paths"].items()
        for method in operations
        if method != "parameters"
    }
    assert described == routes


def test_it_names_the_server_that_serves_it(served):
    content = requests.get(f"{served.url}/openapi.json", timeout=30).json()
    assert content["servers"] == [{"url": served.url}]
    assert content["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    ("schema", "described"), [("edna_message", "EdnaMessage"), ("partner_gateway_message", "GatewayMessage")]
)
def test_the_taps_schemas_know_every_described_field(schema, described):
    properties = json.loads((ROOT / "schemas" / f"{schema}.json").read_text())["properties"]
    known = {name for name in properties if name != "extraFields"}
    aliases = {alias for declaration in properties.values() for alias in declaration.get("x-aliases", ())}
    fields = {*description("")["components"]["schemas"][described]["properties"]}
    assert known <= fields
    assert fields - known <= aliases


@pytest.mark.parametrize("shape", get_args(GatewayShape))
def test_every_field_of_a_row_is_described(served, shape):
    schemas = description("")["components"]["schemas"]
    rows = {
        "EdnaMessage": served.edna_rows(),
        "GatewayMessage": [
            gateway.row(message, END_MS, GatewayOptions(shape=shape)) for message in served.gateway["SMS"]
        ],
    }
    for name, found in rows.items():
        fields = {field for row in found for field, value in row.items() if value is not msgspec.UNSET}
        assert fields <= {*schemas[name]["properties"]}
        assert {*schemas[name]["required"]} <= set.intersection(*map(set, found))


def test_every_filter_of_edna_is_described():
    properties = description("")["components"]["schemas"]["EdnaQuery"]["properties"]
    assert {*properties} == {*Query.__struct_encode_fields__}
    sort = properties["sort"]["items"]["properties"]
    assert sort["property"]["enum"] == [*get_args(Property)]
    (_, subscriber) = properties["subscriberFilter"]["oneOf"]
    assert subscriber["properties"]["type"]["enum"] == [*get_args(AddressType), None]


@pytest.mark.parametrize(
    ("options", "operations"),
    [
        ((*EDNA, "--exclude-checks=positive_data_acceptance", "-H", "x-api-key:{edna}"), 1),
        (("--include-tag=gateway", "--exclude-operation-id=download", "-a", "{user}:{password}"), 5),
        (("--include-operation-id=download", "--phases=examples,coverage,fuzzing"), 1),
    ],
    ids=["edna", "gateway", "downloads"],
)
def test_generated_requests_get_the_described_responses(served, options, operations, tmp_path):
    """Valid and invalid requests, and sequences of requests that follow the links between operations."""
    if not SCHEMATHESIS.exists():
        pytest.skip("needs the environment .clients/schemathesis, which make creates")
    credentials = {
        "edna": served.edna_options.key,
        "user": served.gateway_options.username,
        "password": served.gateway_options.password,
    }
    finished = run(served, tmp_path, *(option.format(**credentials) for option in options))
    assert finished.returncode == 0, finished.stdout
    assert f"Tested: {operations}\n" in finished.stdout


def test_a_response_that_is_not_described_is_noticed(served, tmp_path):
    if not SCHEMATHESIS.exists():
        pytest.skip("needs the environment .clients/schemathesis, which make creates")
    served.faults.malformed_rate = 1.0
    try:
        options = ("--include-tag=edna", "--phases=examples", "-H", f"x-api-key:{served.edna_options.key}")
        finished = run(served, tmp_path, *options)
    finally:
        served.faults.malformed_rate = 0.0
    assert finished.returncode == 1
    assert "Response violates schema" in finished.stdout


def run(sandbox: Sandbox, directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    fixed = ("--checks=all", "--max-examples=20", "--generation-deterministic", "--no-color")
    return subprocess.run(
        [SCHEMATHESIS, "run", f"{sandbox.url}/openapi.json", *fixed, *options],
        cwd=directory,
        env=environment(NO_PROXY="127.0.0.1"),
        capture_output=True,
        text=True,
        check=False,
    )
