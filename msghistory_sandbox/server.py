"""The sandbox: generates histories, and serves them on loopback from a thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from msghistory_sandbox import edna, gateway
from msghistory_sandbox.app import build_app
from msghistory_sandbox.clock import real_ms
from msghistory_sandbox.generate import (
    DEFAULT_DAYS,
    DEFAULT_MESSAGES,
    edna_messages,
    gateway_messages,
    with_unknown_fields,
)
from msghistory_sandbox.history import History
from msghistory_sandbox.journal import ReceivedRequest
from msghistory_sandbox.state import SandboxState
from msghistory_sandbox.uvicorn_server import ThreadedServer

HOST = "127.0.0.1"


@dataclass(slots=True)
class Sandbox(SandboxState):
    """Two emulated vendors that can be served on loopback; see `SandboxState` for the fields."""

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
        """Generate both vendors' histories, `messages` each, the last one sent at `end_ms` (default: now).

        A share of the messages (`unknown_rate`, 0 to 1) has fields that the vendors do not document. `parts`
        are the sandbox's other fields. The same seed and end produce the same messages.
        """
        end_ms = real_ms() if end_ms is None else end_ms
        by_channel = gateway_messages(count=messages, seed=seed, days=days, end_ms=end_ms)
        edna_history = edna_messages(count=messages, seed=seed, days=days, end_ms=end_ms)
        add_fields = partial(with_unknown_fields, rate=unknown_rate, seed=seed) if unknown_rate else list
        return cls(
            edna=History(add_fields(edna_history)),
            gateway={channel: History(add_fields(found)) for channel, found in by_channel.items()},
            **parts,
        )

    @property
    def edna_base_url(self) -> str:
        """Base URL of the emulated edna API; replaces `https://app.edna.io`."""
        return self.url

    @property
    def gateway_base_url(self) -> str:
        """Base URL of the emulated gateway API; replaces `https://lora-api.agiletelecom.com/api`."""
        return f"{self.url}/api"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """All recorded requests to both APIs, oldest first."""
        return list(self.journal.requests)

    def edna_rows(self) -> list[dict[str, Any]]:
        """Render all currently visible messages of edna, in send order: the expected result of a sync."""
        now_ms = self.clock.now_ms()
        return [edna.row(message, now_ms) for message in self.edna.visible(now_ms)]

    def gateway_rows(self, channel: str) -> list[dict[str, Any]]:
        """Render all currently visible messages of a gateway channel, in send order."""
        now_ms = self.clock.now_ms()
        found = self.gateway[channel].visible(now_ms)
        return [gateway.row(message, now_ms, self.gateway_options) for message in found]

    @contextmanager
    def serve(self, port: int = 0) -> Iterator[Sandbox]:
        """Serve on 127.0.0.1 from a thread and set `url`; port 0 selects a free port.

        Raises OSError if the port is in use. Requests in flight at the end are aborted.
        """
        listener = socket.create_server((HOST, port), backlog=128)
        self.url = f"http://{HOST}:{listener.getsockname()[1]}"
        server = ThreadedServer(build_app(self))
        thread = threading.Thread(target=server.run, args=([listener],), name="sandbox")
        thread.start()
        try:
            yield self
        finally:
            server.stop()
            thread.join()
            self.url = ""
