"""The gateway's exports over HTTP, downloads among them, and how they go wrong on order."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from msghistory_sandbox import export
from msghistory_sandbox.answers import Answer, refusal
from msghistory_sandbox.gateway import GatewayApi
from msghistory_sandbox.middleware import hang_up, respond
from msghistory_sandbox.options import Break, Unclear

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from msghistory_sandbox.server import Sandbox

_ANOTHER_RANGE = b'{"startDateTime": "2020-01-01T00:00:00Z", "endDateTime": "2020-01-02T00:00:00Z"}'


def routes(
    sandbox: Sandbox, gateway_api: GatewayApi, around: Callable[[str], list[Middleware]]
) -> list[Route]:
    """Build the routes; `gateway_api` knows the credentials and keeps the rate limit."""
    serve = _Endpoints(sandbox, gateway_api)
    jobs, downloads = around("exports"), around("downloads")
    return [
        Route(export.QUEUE_PATH, serve.queue, methods=["POST"], middleware=jobs),
        Route(export.LIST_PATH, serve.jobs, methods=["GET"], middleware=jobs),
        Route(export.LIST_PATH + "/{id}", serve.job, methods=["GET", "POST"], middleware=jobs),
        Route(export.DOWNLOAD_PATH + "/{name}", serve.download, methods=["GET"], middleware=downloads),
    ]


class _Endpoints:
    def __init__(self, sandbox: Sandbox, gateway_api: GatewayApi) -> None:
        self._sandbox = sandbox
        self._gateway_api = gateway_api
        self._options = sandbox.export_options
        self._api = export.ExportApi(sandbox.gateway, self._options)

    async def queue(self, request: Request) -> Response:
        """Queue a job."""
        options = self._options
        is_unclear = options.unclear_next > 0
        for _ in range(options.others if is_unclear else 0):
            self._api.queue(_ANOTHER_RANGE, self._sandbox.clock.now_ms())
        if is_unclear and options.unclear_lost:
            answer = self._guarded(request, lambda _: Answer(202, {}, {}))
        else:
            answer = self._guarded(request, lambda now_ms: self._api.queue(request.state.body, now_ms))
        if not is_unclear or answer.status != 202:  # noqa: PLR2004
            return respond(answer)
        options.unclear_next -= 1
        if options.unclear == "reset":
            self._sandbox.journal.answer(request.state.received, None)
        return _unclear(options.unclear)

    async def jobs(self, request: Request) -> Response:
        """List jobs."""
        params = request.query_params
        return respond(self._guarded(request, lambda now_ms: self._api.listed(params, now_ms)))

    async def job(self, request: Request) -> Response:
        """Give a job with a link to its file, or make the file anew."""
        job_id, url = request.path_params["id"], self._sandbox.url
        if request.method == "POST":
            return respond(self._guarded(request, lambda now_ms: self._api.renew(job_id, now_ms)))
        return respond(self._guarded(request, lambda _: self._api.link(job_id, url)))

    async def download(self, request: Request) -> Response:
        """Give a file to whom has its link, and no credentials."""
        if request.state.received.credentials:
            return respond(refusal(400, "Only one kind of authentication is allowed"))
        signature = request.query_params.get("signature", "")
        file = self._api.redeem(signature, self._sandbox.clock.now_ms())
        if file is None:
            return respond(refusal(403, "The link has expired"))
        if self._options.break_next > 0:
            self._options.break_next -= 1
            return _broken(file if isinstance(file, bytes) else b"".join(file), self._options.break_how)
        if isinstance(file, bytes):
            return Response(file, media_type="text/csv")
        return StreamingResponse(_pieces(file), media_type="text/csv")

    def _guarded(self, request: Request, serve: Callable[[int], Answer]) -> Answer:
        now_ms = self._sandbox.clock.now_ms()
        return self._gateway_api.guard(request.headers, self._sandbox.faults, lambda: serve(now_ms))


def _unclear(how: Unclear) -> Response:
    if how == "reset":
        return _Reset()
    return respond(refusal(500, "An unexpected error occurred")) if how == "error" else Response("OK", 202)


def _broken(file: bytes, how: Break) -> Response:
    if how == "refuse":
        return respond(refusal(403, "The link has expired"))
    if how == "redirect":
        return RedirectResponse("http://127.0.0.1:9/elsewhere", 307)
    if how == "connection":
        return _Cut(file)
    if how == "gzip":
        zipped = gzip.compress(file)
        return Response(
            zipped[: len(zipped) // 2], media_type="text/csv", headers={"Content-Encoding": "gzip"}
        )
    ends = {"line": b'x,"A text', "row": b"x,y\n", "quote": b'x,"A text\n'}
    return Response(file + ends[how], media_type="text/csv")


async def _pieces(file: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in file:
        yield piece


class _Reset(Response):
    """A connection that is reset instead of an answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send nothing."""
        await hang_up(scope, receive, reset=True)


class _Cut(Response):
    """An answer that ends half way."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the head and half of the body."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await hang_up(scope, receive, reset=False)
