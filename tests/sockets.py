"""Servers that speak bytes, for what HTTP libraries are too polite to do."""

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
#: Sends what it likes of an honest answer, which it is given whole.
Spoil = Callable[[Connection, bytes], None]


@contextmanager
def serving(handle: Handle, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Hand every connection to `handle`, each in a thread of its own; yield the port on 127.0.0.1."""
    listener = socket.create_server(("127.0.0.1", 0))

    def meet(connection: Connection) -> None:
        with connection, suppress(OSError):  # a client that has left, or does not trust us
            if tls is None:
                handle(connection)
            else:
                with tls.wrap_socket(connection, server_side=True) as secured:
                    handle(secured)

    def accept() -> None:
        with suppress(OSError):  # closed: the end
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=meet, args=[connection], daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes the one who accepts
        listener.close()
        thread.join()


def read_request(connection: Connection) -> bytes:
    """Read one request, head and body; what has come so far where the client leaves."""
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


def ask(url: str, request: bytes) -> bytes:
    """Send `request` to the host of `url`; return all that comes until the connection is closed."""
    parts = urlsplit(url)
    request = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
    answer = b""
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        connection.sendall(request)
        while more := connection.recv(65_536):
            answer += more
    return answer


class Answering:
    """Gives each request the same answer, and keeps the requests."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[bytes] = []

    def __call__(self, connection: Connection) -> None:
        self.requests.append(read_request(connection))
        connection.sendall(self.answer)


class Front:
    """Stands before a sandbox: spoils the first answers, one with each of `spoils`, then is honest."""

    def __init__(self, url: str, *spoils: Spoil) -> None:
        self.url = url
        self.spoils = deque(spoils)
        self.requests: list[bytes] = []
        self._lock = threading.Lock()

    def __call__(self, connection: Connection) -> None:
        request = read_request(connection)
        with self._lock:
            self.requests.append(request)
            spoil = self.spoils.popleft() if self.spoils else _be_honest
        spoil(connection, ask(self.url, request))


class Proxy:
    """An HTTP proxy: tunnels whatever host is asked for to `target`, or fetches from it."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.requests: list[bytes] = []

    def __call__(self, connection: Connection) -> None:
        request = read_request(connection)
        self.requests.append(request)
        if not request.startswith(b"CONNECT "):
            connection.sendall(ask(self.target, request))
            return
        parts = urlsplit(self.target)
        with socket.create_connection((parts.hostname or "", parts.port or 443)) as other:
            connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_copy, args=[other, connection], daemon=True)
            back.start()
            _copy(connection, other)
            back.join()


def _be_honest(connection: Connection, answer: bytes) -> None:
    connection.sendall(answer)


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
