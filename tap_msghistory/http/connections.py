"""Connections to a host, with the proxy and the certificates that the environment configures."""

from __future__ import annotations

import os
import ssl
from base64 import b64encode
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from requests.utils import (
    DEFAULT_CA_BUNDLE_PATH,
    get_auth_from_url,
    get_environ_proxies,
    prepend_scheme_if_needed,
    select_proxy,
)
from urllib3.exceptions import LocationValueError

from tap_msghistory.errors import ApiError


def pool_for(url: str, connections: int) -> urllib3.PoolManager:
    """Return a pool that keeps up to `connections` connections per host; none is opened yet.

    `requests` interprets the environment. Sending through it would double the CPU time of a request, so
    urllib3 is used directly. Raises `ApiError` if no certificates are found, and urllib3's
    `LocationValueError` if the proxy URL is not valid.
    """
    if urlsplit(url).scheme == "http":
        # Only loopback is contacted without TLS, and never through a proxy.
        return urllib3.PoolManager(maxsize=connections)
    trust = _trust()
    proxy = select_proxy(url, get_environ_proxies(url))
    if not proxy:
        return urllib3.PoolManager(maxsize=connections, **trust)
    proxy = prepend_scheme_if_needed(proxy, "http")  # type: ignore[no-untyped-call]
    if not urlsplit(proxy).hostname:
        raise LocationValueError("a proxy without a host")
    username, password = get_auth_from_url(proxy)
    proxy_headers = {"Proxy-Authorization": basic(username, password)} if username else None
    return urllib3.ProxyManager(proxy, maxsize=connections, proxy_headers=proxy_headers, **trust)


def headers(accept: str) -> dict[str, str]:
    """Return the headers of every request."""
    user_agent = f"tap-msghistory/{version('tap-msghistory')}"
    return {"User-Agent": user_agent, "Accept": accept, "Accept-Encoding": "gzip, deflate"}


def basic(username: str, password: str) -> str:
    """Return the value of an `Authorization` header, encoded in UTF-8, as not every password is Latin-1."""
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"


def _trust() -> dict[str, Any]:
    """Return urllib3's arguments for trusted certificates.

    The environment variables of `requests` take precedence over OpenSSL's.
    """
    variables = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
    path = next(filter(None, map(os.environ.get, variables)), DEFAULT_CA_BUNDLE_PATH)
    is_directory = Path(path).is_dir()
    try:
        # This only checks that the certificates can be loaded. Each connection loads them again, because a
        # context shared by threads can crash (https://github.com/python/cpython/issues/141012).
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
            **{"capath" if is_directory else "cafile": path}
        )
    except OSError as error:
        raise ApiError(
            f"{path} contains no readable certificates: check {', '.join(variables)} in the environment"
        ) from error
    return {"cert_reqs": "CERT_REQUIRED", "ca_cert_dir" if is_directory else "ca_certs": path}
