"""ASGI middleware of the emulated APIs: one records requests in the journal, one injects faults."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from msghistory_sandbox.faults import Fault, Faults
from msghistory_sandbox.journal import ReceivedRequest, read_params, skipped_rows
from msghistory_sandbox.rate_limit import too_many_requests
from msghistory_sandbox.responses import ApiResponse, error_response
from msghistory_sandbox.state import SandboxState

MAINTENANCE = "<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>"


def encode_response(response: ApiResponse) -> Response:
    """Encode an API response as JSON."""
    return Response(
        msgspec.json.encode(response.body),
        response.status,
        response.headers,
        media_type="application/json",
    )


class JournalMiddleware:
    """Records requests in the journal; the inner layers find record and body in `request.state`."""

    def __init__(self, app: ASGIApp, sandbox: SandboxState, api: str) -> None:
        self.app, self.sandbox, self.api = app, sandbox, api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Record a request and its response."""
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:  # an incomplete request is not recorded
            return
        params = read_params(request.query_params, body)
        received = ReceivedRequest(
            at=self.sandbox.monotonic(),
            api=self.api,
            method=request.method,
            path=request.url.path,
            params=params,
            credentials=not {"x-api-key", "authorization"}.isdisjoint(request.headers),
            offset=skipped_rows(params),
        )
        request.state.received, request.state.body = received, body
        journal = self.sandbox.journal

        async def send_and_record(message: Message) -> None:
            if message["type"] == "http.response.start":
                journal.record_response(received, message["status"])
            await send(message)

        journal.record_request(received)
        try:
            # Requests are cancelled when the server stops.
            with suppress(asyncio.CancelledError):
                await self.app(scope, receive, send_and_record)
        finally:
            journal.record_end()


class FaultMiddleware:
    """Injects faults; reads their options from the sandbox at each request."""

    def __init__(self, app: ASGIApp, sandbox: SandboxState) -> None:
        self.app, self.sandbox = app, sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Delay a request, and apply its fault or forward it."""
        faults = self.sandbox.faults
        received: ReceivedRequest = scope["state"]["received"]
        fault = faults.decide()
        await faults.delay(received.offset)
        if fault is None:
            await self.app(scope, receive, send)
        elif fault == "drop":
            self.sandbox.journal.record_response(received, None)
            await disconnect(scope, receive, reset=True)
        elif fault == "truncate":
            await self.app(scope, receive, _truncating(send))
            await disconnect(scope, receive, reset=False)
        else:
            await _fault_response(fault, faults, Request(scope))(scope, receive, send)


def _fault_response(fault: Fault, faults: Faults, request: Request) -> Response:
    if fault == "html":
        return HTMLResponse(MAINTENANCE)
    if fault == "redirect":
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{faults.redirect_to}{request.url.path}{query}", 307)
    if fault == "limit":
        return encode_response(too_many_requests(faults.retry_after, faults.limit_wait_s))
    if fault == "malformed":
        return encode_response(ApiResponse(200, {"result": "ok"}, {}))
    if fault == "force" and faults.force_status is not None:
        return encode_response(error_response(faults.force_status, "Refused"))
    return encode_response(error_response(500, "An unexpected error occurred"))


def _truncating(send: Send) -> Send:
    """Wrap `send` to forward the headers, including Content-Length, but only half of the body."""

    async def send_half(message: Message) -> None:
        if message["type"] == "http.response.body":
            body = message["body"]
            message = {**message, "body": body[: len(body) // 2], "more_body": True}
        await send(message)

    return send_half


async def disconnect(scope: Scope, receive: Receive, *, reset: bool) -> None:
    """Close the connection during a response, with a TCP reset if `reset`. ASGI has no event for this."""
    transport: asyncio.WriteTransport = scope["state"]["transport"]
    if reset:
        # A linger time of zero turns the close into a TCP reset.
        linger = struct.pack("ii", 1, 0)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    else:
        transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass
