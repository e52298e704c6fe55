"""The sandbox as an ASGI application: both vendors' APIs, and a control API of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from msghistory_sandbox import edna, export_routes, gateway
from msghistory_sandbox.answers import Answer, refusal
from msghistory_sandbox.middleware import FaultInjector, JournalKeeper, respond
from msghistory_sandbox.times import parse_ms, utc_time

if TYPE_CHECKING:
    from msghistory_sandbox.server import Sandbox


class ClockChange(msgspec.Struct):
    """Body of `POST /sandbox/clock`; what is left out stays."""

    at: str | None = None
    """ISO 8601 with an offset."""
    advance: float = 0.0
    """Seconds; negative is back."""
    freeze: bool | None = None


def build_app(sandbox: Sandbox) -> Starlette:
    """Build the application; clock and faults are looked up with every request."""
    edna_api = edna.EdnaApi(sandbox.edna, sandbox.edna_options, sandbox.monotonic)
    gateway_api = gateway.GatewayApi(sandbox.gateway, sandbox.gateway_options, sandbox.monotonic)

    async def edna_history(request: Request) -> Response:
        body, now_ms = request.state.body, sandbox.clock.now_ms()
        return _served(request, edna_api.answer(request.headers, body, now_ms, sandbox.faults))

    async def gateway_history(request: Request) -> Response:
        params, now_ms = request.query_params, sandbox.clock.now_ms()
        return _served(request, gateway_api.answer(request.headers, params, now_ms, sandbox.faults))

    async def about(_request: Request) -> Response:
        return respond(Answer(200, _about(sandbox), {}))

    async def stats(_request: Request) -> Response:
        return respond(Answer(200, sandbox.journal.stats(), {}))

    async def clock(request: Request) -> Response:
        return respond(_change_clock(sandbox, await request.body()))

    def around(api: str) -> list[Middleware]:
        return [
            Middleware(JournalKeeper, sandbox=sandbox, api=api),
            Middleware(FaultInjector, sandbox=sandbox),
        ]

    return Starlette(
        routes=[
            Route(edna.PATH, edna_history, methods=["POST"], middleware=around("edna")),
            Route(gateway.PATH, gateway_history, methods=["GET"], middleware=around("gateway")),
            *export_routes.routes(sandbox, gateway_api, around),
            Route("/sandbox/", about, methods=["GET"]),
            Route("/sandbox/stats", stats, methods=["GET"]),
            Route("/sandbox/clock", clock, methods=["POST"]),
        ],
    )


def _served(request: Request, answer: Answer) -> Response:
    request.state.received.rows = answer.rows
    return respond(answer)


def _about(sandbox: Sandbox) -> dict[str, Any]:
    return {
        "about": "tap-msghistory's sandbox: an imitation of two vendors' APIs with made-up data. "
        "It is not the vendors', and nothing here is sent anywhere.",
        "now": utc_time(sandbox.clock.now_ms()),
        "edna": {"method": "POST", "path": edna.PATH, "messages": len(sandbox.edna)},
        "gateway": {
            "method": "GET",
            "path": gateway.PATH,
            "messages": {channel: len(found) for channel, found in sandbox.gateway.items()},
        },
        "control": ["GET /sandbox/stats", "POST /sandbox/clock"],
    }


def _change_clock(sandbox: Sandbox, body: bytes) -> Answer:
    clock = sandbox.clock
    try:
        change = msgspec.json.decode(body, type=ClockChange)
        at_ms = None if change.at is None else parse_ms(change.at)
    except ValueError as problem:  # msgspec's errors are ValueErrors too
        return refusal(400, str(problem))
    if change.freeze is not None:
        clock.freeze() if change.freeze else clock.run()
    if at_ms is not None:
        clock.set(at_ms)
    clock.advance(change.advance)
    return Answer(200, {"now": utc_time(clock.now_ms()), "frozen": clock.frozen}, {})
