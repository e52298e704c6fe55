"""Connections to a host, by the proxy and with the certificates that the environment names."""

from __future__ import annotations

import os
import ssl
from base64 import b64encode
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import certifi
import requests
import urllib3
from requests.utils import get_auth_from_url, prepend_scheme_if_needed, select_proxy
from urllib3.exceptions import LocationValueError
from urllib3.util import create_urllib3_context

from tap_msghistory.errors import ApiError


def connect(url: str, number: int) -> urllib3.PoolManager:
    """Return a pool that keeps up to `number` connections, and opens none yet.

    requests knows what the environment wants, urllib3 does the rest: for each request, requests itself would
    take as long again. Raises `ApiError` where there are no certificates, and urllib3's
    `LocationValueError` where the URL of a proxy is none.
    """
    if urlsplit(url).scheme == "http":
        # Only loopback is asked without TLS: not by way of another machine.
        return urllib3.PoolManager(maxsize=number)
    session = requests.Session()
    # requests knows REQUESTS_CA_BUNDLE, which goes before this, but not what OpenSSL calls it.
    session.verify = os.environ.get("SSL_CERT_FILE") or certifi.where()
    settings = session.merge_environment_settings(url, {}, None, None, None)
    tls = _tls(str(settings["verify"]))
    proxy = select_proxy(url, settings["proxies"])
    if not proxy:
        return urllib3.PoolManager(maxsize=number, ssl_context=tls)
    proxy = prepend_scheme_if_needed(proxy, "http")  # type: ignore[no-untyped-call]
    if not urlsplit(proxy).hostname:
        raise LocationValueError("a proxy without a host")
    username, password = get_auth_from_url(proxy)
    return urllib3.ProxyManager(
        proxy,
        maxsize=number,
        ssl_context=tls,
        proxy_ssl_context=tls,
        proxy_headers={"Proxy-Authorization": basic(username, password)} if username else None,
    )


def headers(accept: str) -> dict[str, str]:
    """Return what goes along with every request."""
    user_agent = f"tap-msghistory/{version('tap-msghistory')}"
    return {"User-Agent": user_agent, "Accept": accept, "Accept-Encoding": "gzip, deflate"}


def basic(username: str, password: str) -> str:
    """Return the value of an `Authorization` header. In UTF-8: not every password is Latin-1."""
    return f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"


def _tls(certificates: str) -> ssl.SSLContext:
    """Return one context for all connections: to load the usual certificates takes some 30 ms."""
    context = create_urllib3_context()
    try:
        context.load_verify_locations(**{"capath" if Path(certificates).is_dir() else "cafile": certificates})
    except OSError as error:
        raise ApiError(
            f"{certificates} holds no certificates: check REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE and "
            "SSL_CERT_FILE in the environment"
        ) from error
    return context
