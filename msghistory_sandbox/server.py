"""A sandbox: what it holds, and serving it on loopback from a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from msghistory_sandbox import edna, gateway
from msghistory_sandbox.app import build_app
from msghistory_sandbox.clock import Clock, real_ms
from msghistory_sandbox.faults import Faults
from msghistory_sandbox.generate import (
    DEFAULT_DAYS,
    DEFAULT_MESSAGES,
    edna_messages,
    gateway_messages,
    with_unknown_fields,
)
from msghistory_sandbox.history import History
from msghistory_sandbox.journal import Journal, ReceivedRequest
from msghistory_sandbox.options import EdnaOptions, ExportOptions, GatewayOptions

HOST = "127.0.0.1"


@dataclass(slots=True)
class Sandbox:
    """Two emulated vendors.

    `gateway` has a history a channel: SMS, RCS, WHATSAPP; one left out is empty. While it is
    served, `clock` and `faults` may be replaced, and what is inside of the histories and options
    may be changed.
    """

    edna: History = field(default_factory=History)
    gateway: Mapping[str, History] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    edna_options: EdnaOptions = field(default_factory=EdnaOptions)
    gateway_options: GatewayOptions = field(default_factory=GatewayOptions)
    export_options: ExportOptions = field(default_factory=ExportOptions)
    journal: Journal = field(default_factory=Journal)
    monotonic: Callable[[], float] = time.monotonic
    """The rate limits' clock, seconds; a test may move its own."""
    url: str = field(default="", init=False)
    """Where it is served, without a slash at the end; empty while it is not."""

    def __post_init__(self) -> None:
        """Give every channel a history."""
        self.gateway = {channel: self.gateway.get(channel, History()) for channel in gateway.CHANNELS}

    @classmethod
    def generate(
        cls,
        *,
        messages: int = DEFAULT_MESSAGES,
        seed: int = 0,
        days: int = DEFAULT_DAYS,
        end_ms: int | None = None,
        unknown_rate: float = 0.0,
        **parts: Any,
    ) -> Sandbox:
        """Generate both vendors' histories, `messages` each, the last one sent at `end_ms` (now).

        A share of them (`unknown_rate`, 0 to 1) has fields that the vendors do not document. `parts` are the
        sandbox's other fields. The same seed and end give the same messages.
        """
        end_ms = real_ms() if end_ms is None else end_ms
        by_channel = gateway_messages(count=messages, seed=seed, days=days, end_ms=end_ms)
        edna = edna_messages(count=messages, seed=seed, days=days, end_ms=end_ms)
        widened = partial(with_unknown_fields, rate=unknown_rate, seed=seed) if unknown_rate else list
        return cls(
            edna=History(widened(edna)),
            gateway={channel: History(widened(found)) for channel, found in by_channel.items()},
            **parts,
        )

    @property
    def edna_base_url(self) -> str:
        """What edna's `https://app.edna.io` is here."""
        return self.url

    @property
    def gateway_base_url(self) -> str:
        """What the gateway's `https://lora-api.agiletelecom.com/api` is here."""
        return f"{self.url}/api"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Give the requests to both APIs so far, oldest first."""
        return list(self.journal.requests)

    def edna_rows(self) -> list[dict[str, Any]]:
        """Render all that edna shows now, in send order: what a reader should end up with."""
        now_ms = self.clock.now_ms()
        return [edna.row(message, now_ms) for message in self.edna.visible(now_ms)]

    def gateway_rows(self, channel: str) -> list[dict[str, Any]]:
        """Do the same for a channel of the gateway."""
        now_ms = self.clock.now_ms()
        found = self.gateway[channel].visible(now_ms)
        return [gateway.row(message, now_ms, self.gateway_options) for message in found]

    @contextmanager
    def serve(self, port: int = 0) -> Iterator[Sandbox]:
        """Serve on 127.0.0.1 from a thread, on any free port by default; `url` says where.

        A port that is taken: OSError. Requests in flight at the end are cut off.
        """
        listener = socket.create_server((HOST, port), backlog=128)
        self.url = f"http://{HOST}:{listener.getsockname()[1]}"
        server = _Server(build_app(self))
        thread = threading.Thread(target=server.run, args=([listener],), name="sandbox")
        thread.start()
        try:
            yield self
        finally:
            server.stop()
            thread.join()
            self.url = ""


class _Protocol(H11Protocol):
    """Hands the connection to the app, which may have to cut it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio leaves this out for accepted sockets of an unnamed protocol; without it, the
        # second answer of a kept connection waits 40 ms for the client's delayed ACK.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """Starts and stops in a few ms, where uvicorn's own looks up every 100 ms: tests do it often."""

    def __init__(self, app: Any) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Protocol,
                loop="asyncio",
                lifespan="off",
                ws="none",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
            )
        )
        self._running = threading.Event()
        self._stopped = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def stop(self) -> None:
        """End from another thread."""
        self._running.wait()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Run to the end, and let nobody wait for a start that failed."""
        try:
            super().run(sockets)
        finally:
            self._running.set()

    async def main_loop(self) -> None:
        """Keep the Date header right until told to stop."""
        self._loop = asyncio.get_running_loop()
        self._running.set()
        while not self._stopped.is_set():
            await self.on_tick(0)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), timeout=1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close everything at once."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for server in self.servers:
            await server.wait_closed()
        await asyncio.sleep(0)  # so that requests in flight learn that their connection is gone
        for listener in sockets or []:
            listener.close()
