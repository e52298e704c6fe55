"""Servers at the level of bytes, for violations of HTTP that libraries do not permit."""

from __future__ import annotations

import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

Connection = socket.socket
Handle = Callable[[Connection], None]
#: Receives the right response and sends a broken form of it.
Fault = Callable[[Connection, bytes], None]


@contextmanager
def serving(handle: Handle, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Call `handle` with every connection, each in its own thread; yield the port on 127.0.0.1."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(connection: Connection) -> None:
        with connection, suppress(OSError):  # the client has left, or does not trust the certificate
            if tls is None:
                handle(connection)
            else:
                with tls.wrap_socket(connection, server_side=True) as secured:
                    handle(secured)

    def accept() -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=serve, args=[connection], daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # ends accept()
        listener.close()
        thread.join()


def read_request(connection: Connection) -> bytes:
    """Read one request, head and body, or the part of it that was sent before the client left."""
    request = b""
    while b"\r\n\r\n" not in request:
        if not (more := connection.recv(65_536)):
            return request
        request += more
    head, _, body = request.partition(b"\r\n\r\n")
    while len(body) < _content_length(head):
        if not (more := connection.recv(65_536)):
            break
        body += more
    return head + b"\r\n\r\n" + body


def forward(url: str, request: bytes) -> bytes:
    """Send `request` to the host of `url`, and return the response."""
    parts = urlsplit(url)
    request = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    response = b""
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        connection.sendall(request)
        while more := connection.recv(65_536):
            response += more
    return response


class FixedResponse:
    """A server that returns the same response to each request, and records the requests."""

    def __init__(self, response: bytes) -> None:
        self.response = response
        self.requests: list[bytes] = []

    def __call__(self, connection: Connection) -> None:
        self.requests.append(read_request(connection))
        connection.sendall(self.response)


class Front:
    """A proxy of a sandbox that breaks the first responses, one with each fault."""

    def __init__(self, url: str, *faults: Fault) -> None:
        self.url = url
        self.faults = deque(faults)
        self.requests: list[bytes] = []
        self._lock = threading.Lock()

    def __call__(self, connection: Connection) -> None:
        request = read_request(connection)
        with self._lock:
            self.requests.append(request)
            fault = self.faults.popleft() if self.faults else _send
        fault(connection, forward(self.url, request))


class Proxy:
    """An HTTP proxy that forwards everything to `target`, whatever host is requested."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.requests: list[bytes] = []

    def __call__(self, connection: Connection) -> None:
        request = read_request(connection)
        self.requests.append(request)
        if not request.startswith(b"CONNECT "):
            connection.sendall(forward(self.target, request))
            return
        parts = urlsplit(self.target)
        with socket.create_connection((parts.hostname or "", parts.port or 443)) as other:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_copy, args=[other, connection], daemon=True)
            back.start()
            _copy(connection, other)
            back.join()


def _send(connection: Connection, response: bytes) -> None:
    connection.sendall(response)


def _copy(source: Connection, sink: Connection) -> None:
    with suppress(OSError):
        while more := source.recv(65_536):
            sink.sendall(more)
        sink.shutdown(socket.SHUT_WR)


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
