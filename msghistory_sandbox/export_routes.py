"""HTTP routes of the gateway's exports and downloads, including their failures."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable, Iterable

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from msghistory_sandbox import export
from msghistory_sandbox.gateway import GatewayApi
from msghistory_sandbox.middleware import disconnect, encode_response
from msghistory_sandbox.options import AmbiguousOutcome, Break
from msghistory_sandbox.responses import ApiResponse, error_response
from msghistory_sandbox.state import SandboxState

_OTHER_CLIENTS_BODY = b'{"startDateTime": "2020-01-01T00:00:00Z", "endDateTime": "2020-01-02T00:00:00Z"}'


def routes(
    sandbox: SandboxState, gateway_api: GatewayApi, middleware: Callable[[str], list[Middleware]]
) -> list[Route]:
    """Build the routes; `gateway_api` checks the credentials and the rate limit."""
    endpoints = _Endpoints(sandbox, gateway_api)
    jobs, downloads = middleware("exports"), middleware("downloads")
    return [
        Route(export.QUEUE_PATH, endpoints.queue, methods=["POST"], middleware=jobs),
        Route(export.LIST_PATH, endpoints.jobs, methods=["GET"], middleware=jobs),
        Route(export.LIST_PATH + "/{id}", endpoints.job, methods=["GET", "POST"], middleware=jobs),
        Route(export.DOWNLOAD_PATH + "/{name}", endpoints.download, methods=["GET"], middleware=downloads),
    ]


class _Endpoints:
    def __init__(self, sandbox: SandboxState, gateway_api: GatewayApi) -> None:
        self._sandbox = sandbox
        self._gateway_api = gateway_api
        self._options = sandbox.export_options
        self._api = export.ExportApi(sandbox.gateway, self._options)

    async def queue(self, request: Request) -> Response:
        """Queue a job."""
        options = self._options
        is_ambiguous = options.unclear_next > 0
        for _ in range(options.others if is_ambiguous else 0):
            self._api.queue(_OTHER_CLIENTS_BODY, self._sandbox.clock.now_ms())
        if is_ambiguous and options.unclear_lost:
            response = self._guard(request, lambda _: ApiResponse(202, {}, {}))
        else:
            response = self._guard(request, lambda now_ms: self._api.queue(request.state.body, now_ms))
        if not is_ambiguous or response.status != 202:  # noqa: PLR2004
            return encode_response(response)
        options.unclear_next -= 1
        if options.unclear == "reset":
            self._sandbox.journal.record_response(request.state.received, None)
        return _ambiguous_response(options.unclear)

    async def jobs(self, request: Request) -> Response:
        """List the jobs."""
        params = request.query_params
        return encode_response(self._guard(request, lambda now_ms: self._api.list_jobs(params, now_ms)))

    async def job(self, request: Request) -> Response:
        """Return a job with a download link (GET), or queue it again (POST)."""
        job_id, url = request.path_params["id"], self._sandbox.url
        if request.method == "POST":
            return encode_response(self._guard(request, lambda now_ms: self._api.renew(job_id, now_ms)))
        return encode_response(self._guard(request, lambda _: self._api.create_link(job_id, url)))

    async def download(self, request: Request) -> Response:
        """Return the file of a link. Like a storage service, reject requests that have credentials too."""
        if request.state.received.credentials:
            return encode_response(error_response(400, "Only one kind of authentication is allowed"))
        signature = request.query_params.get("signature", "")
        file = self._api.redeem(signature, self._sandbox.clock.now_ms())
        if file is None:
            return encode_response(error_response(403, "The link has expired"))
        if self._options.break_next > 0:
            self._options.break_next -= 1
            content = file if isinstance(file, bytes) else b"".join(file)
            return _broken_download(content, self._options.break_how)
        if isinstance(file, bytes):
            return Response(file, media_type="text/csv")
        return StreamingResponse(_stream(file), media_type="text/csv")

    def _guard(self, request: Request, handler: Callable[[int], ApiResponse]) -> ApiResponse:
        now_ms = self._sandbox.clock.now_ms()
        return self._gateway_api.guard(request.headers, self._sandbox.faults, lambda: handler(now_ms))


def _ambiguous_response(outcome: AmbiguousOutcome) -> Response:
    if outcome == "reset":
        return _ConnectionReset()
    if outcome == "error":
        return encode_response(error_response(500, "An unexpected error occurred"))
    return Response("OK", 202)


def _broken_download(file: bytes, how: Break) -> Response:
    if how == "refuse":
        return encode_response(error_response(403, "The link has expired"))
    if how == "redirect":
        return RedirectResponse("http://127.0.0.1:9/elsewhere", 307)
    if how == "connection":
        return _TruncatedResponse(file)
    if how == "gzip":
        compressed = gzip.compress(file)
        return Response(
            compressed[: len(compressed) // 2], media_type="text/csv", headers={"Content-Encoding": "gzip"}
        )
    endings = {"line": b'x,"A text', "row": b"x,y\n", "quote": b'x,"A text\n'}
    return Response(file + endings[how], media_type="text/csv")


async def _stream(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


class _ConnectionReset(Response):
    """Resets the connection instead of sending a response."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Reset the connection."""
        await disconnect(scope, receive, reset=True)


class _TruncatedResponse(Response):
    """Closes the connection halfway through the body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers and half of the body, then disconnect."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        await disconnect(scope, receive, reset=False)
