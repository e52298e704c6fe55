"""The sandbox as an ASGI application: both vendors' APIs, and a control API."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from msghistory_sandbox import edna, export_routes, gateway, openapi
from msghistory_sandbox.middleware import FaultMiddleware, JournalMiddleware, encode_response
from msghistory_sandbox.responses import ApiResponse, error_response
from msghistory_sandbox.state import SandboxState
from msghistory_sandbox.times import parse_ms, utc_time


class ClockChange(msgspec.Struct):
    """Body of `POST /sandbox/clock`; omitted fields change nothing."""

    at: str | None = None
    """ISO 8601 with an offset."""
    advance: float = 0.0
    """Seconds; negative values move the clock backward."""
    freeze: bool | None = None


def build_app(sandbox: SandboxState) -> Starlette:
    """Build the application; handlers read the clock and the faults at each request."""
    edna_api = edna.EdnaApi(sandbox.edna, sandbox.edna_options, sandbox.monotonic)
    gateway_api = gateway.GatewayApi(sandbox.gateway, sandbox.gateway_options, sandbox.monotonic)

    async def edna_history(request: Request) -> Response:
        body, now_ms = request.state.body, sandbox.clock.now_ms()
        return _count_rows(request, edna_api.handle(request.headers, body, now_ms, sandbox.faults))

    async def gateway_history(request: Request) -> Response:
        params, now_ms = request.query_params, sandbox.clock.now_ms()
        return _count_rows(request, gateway_api.handle(request.headers, params, now_ms, sandbox.faults))

    async def about(_request: Request) -> Response:
        return encode_response(ApiResponse(200, _about(sandbox), {}))

    async def description(request: Request) -> Response:
        return encode_response(ApiResponse(200, openapi.description(str(request.base_url)), {}))

    async def stats(_request: Request) -> Response:
        return encode_response(ApiResponse(200, sandbox.journal.stats(), {}))

    async def clock(request: Request) -> Response:
        return encode_response(_change_clock(sandbox, await request.body()))

    def middleware(api: str) -> list[Middleware]:
        return [
            Middleware(JournalMiddleware, sandbox=sandbox, api=api),
            Middleware(FaultMiddleware, sandbox=sandbox),
        ]

    return Starlette(
        routes=[
            Route(edna.PATH, edna_history, methods=["POST"], middleware=middleware("edna")),
            Route(gateway.PATH, gateway_history, methods=["GET"], middleware=middleware("gateway")),
            *export_routes.routes(sandbox, gateway_api, middleware),
            Route("/openapi.json", description, methods=["GET"]),
            Route("/sandbox/", about, methods=["GET"]),
            Route("/sandbox/stats", stats, methods=["GET"]),
            Route("/sandbox/clock", clock, methods=["POST"]),
        ],
    )


def _count_rows(request: Request, response: ApiResponse) -> Response:
    """Record the number of rows in the journal, and encode the response."""
    request.state.received.rows = response.rows
    return encode_response(response)


def _about(sandbox: SandboxState) -> dict[str, Any]:
    return {
        "about": "tap-msghistory's sandbox: an emulation of two vendors' APIs with synthetic data. "
        "It is not the vendors' own software and sends no messages.",
        "now": utc_time(sandbox.clock.now_ms()),
        "edna": {"method": "POST", "path": edna.PATH, "messages": len(sandbox.edna)},
        "gateway": {
            "method": "GET",
            "path": gateway.PATH,
            "messages": {channel: len(history) for channel, history in sandbox.gateway.items()},
        },
        "description": "/openapi.json",
        "control": ["GET /sandbox/stats", "POST /sandbox/clock"],
    }


def _change_clock(sandbox: SandboxState, body: bytes) -> ApiResponse:
    clock = sandbox.clock
    try:
        change = msgspec.json.decode(body, type=ClockChange)
        at_ms = None if change.at is None else parse_ms(change.at)
    except ValueError as error:  # includes msgspec's errors
        return error_response(400, str(error))
    if change.freeze is not None:
        clock.freeze() if change.freeze else clock.run()
    if at_ms is not None:
        clock.set(at_ms)
    clock.advance(change.advance)
    return ApiResponse(200, {"now": utc_time(clock.now_ms()), "frozen": clock.frozen}, {})
