"""Servers that violate HTTP in ways that HTTP libraries cannot, certificates, and proxies."""

from __future__ import annotations

import gc
import gzip
import socket
import ssl
import struct
from collections import Counter

import pytest
import trustme

from msghistory_sandbox.clock import Clock
from msghistory_sandbox.server import Sandbox
from tap_msghistory.errors import TapError
from tap_msghistory.http.rate_limiter import RateLimiter
from tap_msghistory.http.retries import MAX_ATTEMPTS
from tests.processes import environment, error_lines, run, run_here
from tests.sockets import FixedResponse, Front, Proxy, read_request, serving
from tests.support import END_MS, ROOT, STREAMS, config, in_send_order, sync, truth

EDNA = "edna_history"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def _no_machine_settings(monkeypatch):
    """Ignore the certificates and proxies that the machine configures."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def small():
    """A few messages, on several pages of both vendors. Tests must not change them."""
    sandbox = Sandbox.generate(messages=120, seed=6, end_ms=END_MS, clock=Clock(END_MS, frozen=True))
    sandbox.gateway_options.requests_per_minute = sandbox.gateway_options.requests_per_second = None
    with sandbox.serve():
        yield sandbox


def behind(base_url, sandbox, **settings):
    """Return settings with both vendors at `base_url`."""
    return config(
        sandbox,
        edna_base_url=base_url,
        partner_gateway_base_url=f"{base_url}/api",
        page_size=50,
        request_timeout=20,
        **settings,
    )


def assert_all_arrive_once(sandbox, output):
    for stream in STREAMS:
        assert output.records(stream) == in_send_order(stream, truth(sandbox, stream))


# Broken responses: each function receives the right response and sends a broken form of it.


def silence(connection, response):
    """Close the connection without a response."""


def reset(connection, response):
    connection.sendall(response[: len(response) // 2])
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def end_in_the_status_line(connection, response):
    connection.sendall(response[:11])


def end_in_the_headers(connection, response):
    connection.sendall(response[: response.index(b"\r\n\r\n") - 5])


def end_in_the_body(connection, response):
    connection.sendall(response[:-100])


def garbage(connection, response):
    connection.sendall(b"\x16\x03\x01 who is there?\r\n\r\n" + response)


def too_many_headers(connection, response):
    head, body = split(response)
    connection.sendall(head + b"".join(b"\r\nX-%d: x" % at for at in range(200)) + b"\r\n\r\n" + body)


def a_header_that_is_too_long(connection, response):
    connection.sendall(response.replace(b"\r\n", b"\r\nX: " + b"x" * 100_000, 1))


def an_invalid_status(connection, response):
    connection.sendall(response.replace(b" 200 ", b" 20 ", 1))


def a_length_beyond_the_body(connection, response):
    _, body = split(response)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + 7) + body)


def a_length_short_of_the_body(connection, response):
    _, body = split(response)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) - 7) + body)


def two_lengths(connection, response):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\n" + split(response)[1])


def half_a_body_without_length(connection, response):
    _, body = split(response)
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + body[: len(body) // 2])


def half_a_chunk(connection, response):
    _, body = split(response)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body[:-9])


def no_last_chunk(connection, response):
    _, body = split(response)
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(body), body)
    )


def an_invalid_chunk_size(connection, response):
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n" + split(response)[1])


def invalid_gzip(connection, response):
    connection.sendall(encoded(b"gzip", split(response)[1]))


def half_a_gzip(connection, response):
    zipped = gzip.compress(split(response)[1])
    connection.sendall(encoded(b"gzip", zipped[: len(zipped) // 2]))


def split(response):
    head, _, body = response.partition(b"\r\n\r\n")
    return head, body


def encoded(encoding, body):
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (encoding, len(body))
    return head + body


FAULTS = [
    silence,
    reset,
    end_in_the_status_line,
    end_in_the_headers,
    end_in_the_body,
    garbage,
    too_many_headers,
    a_header_that_is_too_long,
    an_invalid_status,
    a_length_beyond_the_body,
    a_length_short_of_the_body,
    two_lengths,
    half_a_body_without_length,
    half_a_chunk,
    no_last_chunk,
    an_invalid_chunk_size,
    invalid_gzip,
    half_a_gzip,
]


# If Content-Length is invalid, urllib3 leaves the closed socket to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@pytest.mark.parametrize("fault", FAULTS, ids=lambda function: function.__name__)
def test_invalid_http_responses_are_retried_without_loss_or_duplicates(small, fault):
    front = Front(small.url, fault, fault)
    with serving(front) as port:
        output = sync(behind(f"http://127.0.0.1:{port}", small))
    assert_all_arrive_once(small, output)
    received = Counter(front.requests)
    assert sum(received.values()) == len(received) + 2
    gc.collect()


def test_a_stalled_response_is_retried_after_request_timeout(small):
    left = []

    def stall(connection, response):
        connection.sendall(response[: len(response) // 2])
        left.append(connection.recv(1))  # empty when the client leaves

    with serving(Front(small.url, stall)) as port:
        output = sync({**behind(f"http://127.0.0.1:{port}", small), "request_timeout": 0.3})
    assert_all_arrive_once(small, output)
    assert left == [b""]


def test_a_response_sent_byte_by_byte_is_read_completely(small):
    def drip(connection, response):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(response)):
            connection.sendall(response[at : at + 1])

    front = Front(small.url, drip)
    with serving(front) as port:
        assert_all_arrive_once(small, sync(behind(f"http://127.0.0.1:{port}", small)))
    assert len(front.requests) == len(set(front.requests))


def test_a_second_response_on_a_connection_is_ignored(small):
    """The second response belongs to no request."""

    def respond_twice(connection, response):
        response = response.replace(b"connection: close", b"connection: keep-alive")
        connection.sendall(response + response)
        read_request(connection)  # the next request, or the end of the connection

    with serving(Front(small.url, *[respond_twice] * 8)) as port:
        assert_all_arrive_once(small, sync(behind(f"http://127.0.0.1:{port}", small)))


def test_persistently_invalid_http_fails_when_the_budget_is_spent(small):
    server = FixedResponse(b"SSH-2.0-OpenSSH_9.6\r\n")
    with serving(server) as port, pytest.raises(TapError, match=f"127.0.0.1:{port}.*max_retry_seconds"):
        sync(behind(f"http://127.0.0.1:{port}", small, partner_gateway_api_key=None))
    assert len(server.requests) <= MAX_ATTEMPTS


def test_no_request_is_sent_beyond_the_retry_budget(small):
    server = FixedResponse(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")
    with serving(server) as port, pytest.raises(TapError, match="max_retry_seconds"):
        sync(behind(f"http://127.0.0.1:{port}", small, partner_gateway_api_key=None, max_retry_seconds=1))
    # The pauses double: requests are sent at 0, 0.05, 0.15, 0.35 and 0.75 s. The next would be at 1.55 s.
    assert len(server.requests) <= 5


def test_at_least_four_fifths_of_a_rate_limit_are_used():
    now, sent = 0.0, 0
    rate_limiter = RateLimiter(per_second=50, per_minute=1000, clock=lambda: now)
    while now < 600:
        if wait := rate_limiter.reserve():
            now += wait
        else:
            sent += 1
            now += 0.001
    assert 0.8 * 1000 <= sent / 10 <= 1.1 * 1000


# Certificates.


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def tls(authority):
    """A TLS context with a certificate for 127.0.0.1 and for a host that only a proxy can reach."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "vendor.test").configure_cert(context)
    return context


@pytest.fixture
def trusted(authority, tmp_path):
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def distrusted(tmp_path):
    path = tmp_path / "another.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return str(path)


def test_a_server_with_an_untrusted_certificate_gets_no_request(small, tls, tmp_path):
    front = Front(small.url)
    connections = []

    def count(connection):
        connections.append(connection)
        front(connection)

    with serving(count, tls) as port:
        settings = behind(f"https://127.0.0.1:{port}", small, partner_gateway_api_key=None, concurrency=8)
        finished = run(settings, tmp_path)
    (line,) = error_lines(finished.stderr)
    assert "certificate" in line
    assert finished.returncode == 1
    assert front.requests == []
    assert "retrying in" not in finished.stderr


def test_a_certificate_without_the_requested_name_is_not_trusted(small, tls, trusted, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    front = Front(small.url)
    with serving(front, tls) as port, pytest.raises(TapError, match="TLS certificate of localhost"):
        sync(behind(f"https://localhost:{port}", small))
    assert front.requests == []


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_certificate_authority_from_the_environment_is_trusted(small, tls, trusted, monkeypatch, name):
    monkeypatch.setenv(name, trusted)
    with serving(Front(small.url), tls) as port:
        assert_all_arrive_once(small, sync(behind(f"https://127.0.0.1:{port}", small)))


def test_requests_ca_bundle_takes_precedence_over_ssl_cert_file(small, tls, trusted, distrusted, monkeypatch):
    with serving(Front(small.url), tls) as port:
        monkeypatch.setenv("SSL_CERT_FILE", distrusted)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", trusted)
        assert_all_arrive_once(small, sync(behind(f"https://127.0.0.1:{port}", small)))
        monkeypatch.setenv("SSL_CERT_FILE", trusted)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", distrusted)
        with pytest.raises(TapError, match="certificate"):
            sync(behind(f"https://127.0.0.1:{port}", small))


def test_a_certificate_for_another_host_is_not_trusted(small, authority, trusted, monkeypatch):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.test").configure_cert(context)
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    front = Front(small.url)
    with serving(front, context) as port, pytest.raises(TapError, match="certificate"):
        sync(behind(f"https://127.0.0.1:{port}", small))
    assert front.requests == []


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("path", ["nowhere.pem", str(ROOT / "README.md")], ids=["missing", "text"])
def test_an_unusable_certificate_file_is_named_in_one_line(small, tmp_path, name, path):
    settings = behind("https://127.0.0.1:9", small, partner_gateway_api_key=None)
    finished = run_here(settings, tmp_path, env=environment(**{name: path}))
    (line,) = error_lines(finished.stderr)
    assert path in line
    assert name in line
    assert finished.returncode == 1
    assert "retrying in" not in finished.stderr


@pytest.mark.parametrize("hello", [b"", b"\x16\x03\x03\x00\x7a\x02"], ids=["at once", "half way"])
def test_an_interrupted_tls_handshake_is_retried(small, tls, trusted, monkeypatch, hello):
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    front = Front(small.url)
    broken: list[bytes] = []

    def handle(connection):
        if len(broken) < 3:
            broken.append(connection.recv(65_536))
            connection.sendall(hello)
            return
        with tls.wrap_socket(connection, server_side=True) as secured:
            front(secured)

    with serving(handle) as port:
        assert_all_arrive_once(small, sync(behind(f"https://127.0.0.1:{port}", small)))
    assert len(broken) == 3


# Proxies.


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_an_https_proxy_from_the_environment_sees_no_key(small, tls, trusted, monkeypatch, name):
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    front = Front(small.url)
    with serving(front, tls) as port:
        proxy = Proxy(f"https://127.0.0.1:{port}")
        with serving(proxy) as proxy_port:
            monkeypatch.setenv(name, f"http://user:word@127.0.0.1:{proxy_port}")
            output = sync(behind("https://vendor.test", small))
    assert_all_arrive_once(small, output)
    assert all(request.startswith(b"CONNECT vendor.test:443 ") for request in proxy.requests)
    assert all(b"Proxy-Authorization: Basic dXNlcjp3b3Jk" in request for request in proxy.requests)
    assert not any(b"key" in request.lower() for request in proxy.requests)
    assert not any(b"proxy-authorization" in request.lower() for request in front.requests)


def test_no_proxy_from_the_environment_is_respected(small, tls, trusted, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", trusted)
    monkeypatch.setenv("HTTPS_PROXY", NOWHERE)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,example.com")
    with serving(Front(small.url), tls) as port:
        assert_all_arrive_once(small, sync(behind(f"https://127.0.0.1:{port}", small)))


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_an_unencrypted_key_for_loopback_uses_no_proxy(small, monkeypatch, name):
    proxy = Proxy(small.url)
    with serving(proxy) as port:
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        assert_all_arrive_once(small, sync(config(small)))
    assert proxy.requests == []


@pytest.mark.parametrize("status", [b"403 Forbidden", b"407 Proxy Authentication Required"])
def test_the_error_for_a_refusing_proxy_mentions_the_proxy(small, monkeypatch, status):
    refusing = FixedResponse(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)
    with serving(refusing) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        with pytest.raises(TapError, match=r"vendor\.test.*[Pp]roxy"):
            sync(behind("https://vendor.test", small, partner_gateway_api_key=None, max_retry_seconds=0))
    assert len(refusing.requests) == 1


@pytest.mark.parametrize("proxy", ["gopher://127.0.0.1:9", "http://127.0.0.1:port", "http://"])
def test_an_invalid_proxy_url_fails_immediately(small, monkeypatch, caplog, proxy):
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(TapError, match="proxy"):
        sync(behind("https://vendor.test", small))
    assert not any("retrying in" in record.getMessage() for record in caplog.records)
