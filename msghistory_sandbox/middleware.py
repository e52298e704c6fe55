"""Around both APIs: one layer that keeps the journal, and one that lets things go wrong."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from msghistory_sandbox.answers import Answer, refusal
from msghistory_sandbox.journal import ReceivedRequest, read_params, skipped_rows
from msghistory_sandbox.limits import too_many_requests

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from msghistory_sandbox.faults import Fault, Faults
    from msghistory_sandbox.server import Sandbox

MAINTENANCE = "<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>"


def respond(answer: Answer) -> Response:
    """Encode an answer."""
    return Response(
        msgspec.json.encode(answer.body),
        answer.status,
        answer.headers,
        media_type="application/json",
    )


class JournalKeeper:
    """Reads each request whole and notes it; the inner layers find it in the request's state."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox, api: str) -> None:
        """Wrap one vendor's API."""
        self.app, self.sandbox, self.api = app, sandbox, api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:  # within its request: there is nothing to note, and nobody to answer
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

        async def note(message: Message) -> None:
            if message["type"] == "http.response.start":
                journal.answer(received, message["status"])
            await send(message)

        journal.begin(received)
        try:
            # Cancelled when the server stops; nobody is left to be told.
            with suppress(asyncio.CancelledError):
                await self.app(scope, receive, note)
        finally:
            journal.end()


class FaultInjector:
    """Lets a request meet its fault, or passes it on."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        """Wrap either API; faults are read from the sandbox with every request."""
        self.app, self.sandbox = app, sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        faults = self.sandbox.faults
        received: ReceivedRequest = scope["state"]["received"]
        fault = faults.decide()
        await faults.delay(received.offset)
        if fault is None:
            await self.app(scope, receive, send)
        elif fault == "drop":
            self.sandbox.journal.answer(received, None)
            await hang_up(scope, receive, reset=True)
        elif fault == "truncate":
            await self.app(scope, receive, _halved(send))
            await hang_up(scope, receive, reset=False)
        else:
            await _false_answer(fault, faults, Request(scope))(scope, receive, send)


def _false_answer(fault: Fault, faults: Faults, request: Request) -> Response:
    """Make up an answer that is not the vendor's."""
    if fault == "html":
        return HTMLResponse(MAINTENANCE)
    if fault == "redirect":
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{faults.redirect_to}{request.url.path}{query}", 307)
    if fault == "limit":
        return respond(too_many_requests(faults.retry_after, faults.limit_wait_s))
    if fault == "malformed":
        return respond(Answer(200, {"result": "ok"}, {}))
    if fault == "force" and faults.force_status is not None:
        return respond(refusal(faults.force_status, "Refused"))
    return respond(refusal(500, "An unexpected error occurred"))


def _halved(send: Send) -> Send:
    """Pass on the head with its Content-Length, but half of the body."""

    async def halve(message: Message) -> None:
        if message["type"] == "http.response.body":
            body = message["body"]
            message = {**message, "body": body[: len(body) // 2], "more_body": True}
        await send(message)

    return halve


async def hang_up(scope: Scope, receive: Receive, *, reset: bool) -> None:
    """Close the connection under the answer, for which ASGI has no word; at once if `reset`."""
    transport: asyncio.WriteTransport = scope["state"]["transport"]
    if reset:
        # Lingering for no time makes the close a TCP reset.
        linger = struct.pack("ii", 1, 0)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    else:
        transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass
