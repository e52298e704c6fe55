"""A uvicorn server that runs in a thread, starts and stops within a few ms, and can drop connections."""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol


class _Protocol(H11Protocol):
    """Passes the transport to the application, which closes it to inject faults."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio does not set this on accepted sockets whose protocol number is 0; without it, the
        # second response on a kept connection waits 40 ms for the client's delayed ACK.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, "transport": transport}


class ThreadedServer(uvicorn.Server):
    """Stops on an event. uvicorn's own server polls every 100 ms, which would slow down tests."""

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
        """Stop the server from another thread."""
        self._running.wait()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Run until stopped. A failed start does not block `stop`."""
        try:
            super().run(sockets)
        finally:
            self._running.set()

    async def main_loop(self) -> None:
        """Update the Date header every second until stopped."""
        self._loop = asyncio.get_running_loop()
        self._running.set()
        while not self._stopped.is_set():
            await self.on_tick(0)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), timeout=1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close all connections immediately, including those with requests in flight."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for server in self.servers:
            await server.wait_closed()
        await asyncio.sleep(0)  # lets requests in flight receive the disconnect
        for listener in sockets or []:
            listener.close()
