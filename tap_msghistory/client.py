"""One credential's HTTP: a session, a pace, retries. Used by many threads at once."""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import requests
import urllib3
from requests.adapters import HTTPAdapter

from tap_msghistory.apis.base import Complaint, Request
from tap_msghistory.effort import Effort
from tap_msghistory.errors import ApiError, UnclearError, UnexpectedAnswerError
from tap_msghistory.pace import Pace
from tap_msghistory.retries import Answer, Retry, Stop, Use, budget_left, delay, judge

T = TypeVar("T")
logger = logging.getLogger("tap-msghistory.client")


class Client:
    """Sends requests with one credential, at one pace, until each is answered or its budget is spent."""

    def __init__(
        self,
        *,
        vendor: str,
        auth: requests.auth.AuthBase,
        complaints: tuple[Complaint, ...],
        pace: Pace,
        connections: int,
        timeout: float,
        max_retry_seconds: float,
    ) -> None:
        """Open no connection yet. `timeout` and `max_retry_seconds` are in seconds."""
        self._vendor = vendor
        self._auth = auth
        self._complaints = complaints
        self._pace = pace
        self._timeout = timeout
        self._max_retry_seconds = max_retry_seconds
        self._session = open_session(connections)
        self._environment: dict[str, Any] = {}

    @property
    def requests_per_second(self) -> float | None:
        """At most so many are sent for long; None if there is no limit."""
        return self._pace.per_second

    @property
    def most_sharers(self) -> int | None:
        """Among how many processes the credential's limits can be divided; None: among any number."""
        return self._pace.most_sharers

    def send(self, request: Request, parse: Callable[[bytes], T], effort: Effort) -> T:
        """Return what `parse` makes of the answer's body.

        Raises `ApiError` where no further try can help or a budget is spent, and at once when `effort` is
        stopped while it waits; `UnclearError` where a request that is not repeatable may have had its effect.
        """
        started = None
        tries = 0
        while True:
            self._wait_for_pace(effort)
            tries += 1
            effort.requests += 1
            effort.retries += tries > 1
            sent_at = time.monotonic()
            started = started or sent_at
            outcome, result = self._try(request, parse)
            if isinstance(outcome, Use):
                self._pace.speed_up()
                return result[0]
            if isinstance(outcome, Stop):
                raise ApiError(f"{self._vendor}: {outcome.why}", outcome.status)
            if not (request.is_repeatable or outcome.is_refusal):
                raise UnclearError(f"{self._vendor}: {outcome.why}")
            wait = delay(tries, outcome.not_before)
            if outcome.is_too_much:
                wait = self._pace.slow_down(sent_at, wait)
            elapsed = time.monotonic() - started
            if not budget_left(tries, elapsed + wait, self._max_retry_seconds):
                raise ApiError(
                    f"{self._vendor}: {outcome.why}; gave up after {tries} tries in {elapsed:.0f} s, as "
                    f"another in {wait:.0f} s would be beyond max_retry_seconds "
                    f"({self._max_retry_seconds:g}) or the limit of tries"
                )
            logger.warning("%s: %s; asking again in %.1f s", self._vendor, outcome.why, wait)
            self.pause(wait, effort)

    def pause(self, seconds: float, effort: Effort) -> None:
        """Wait. Raises `ApiError` at once when `effort` is stopped."""
        if effort.stop.wait(seconds):
            raise ApiError(f"{self._vendor}: stopped while waiting")

    def _try(self, request: Request, parse: Callable[[bytes], T]) -> tuple[Use | Retry | Stop, tuple[T, ...]]:
        """Send once. The second item holds the result, and only beside `Use`."""
        try:
            answer = self._exchange(request)
            verdict = judge(answer, self._complaints, datetime.now(timezone.utc), request.success)
            return verdict, (parse(answer.body),) if isinstance(verdict, Use) else ()
        except UnexpectedAnswerError as error:
            return Retry(f"a successful answer, but {error}"), ()
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema):
            return Stop("the base URL, or that of a proxy (HTTPS_PROXY in the environment), is none"), ()
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            host = urlsplit(request.url).netloc
            if any(isinstance(it, ssl.SSLCertVerificationError) for it in _causes(error)):
                return Stop(
                    f"the TLS certificate of {host} is not trusted: check the base URL, and SSL_CERT_FILE in "
                    "the environment, where a certificate authority of your own can be named"
                ), ()
            # The errors' texts may hold what was asked for; their names say enough.
            names = " < ".join(dict.fromkeys(type(it).__name__ for it in _causes(error)))
            return Retry(f"no whole answer from {host} ({names}); if that goes on, check the base URL"), ()

    def _exchange(self, request: Request) -> Answer:
        prepared = self._session.prepare_request(
            requests.Request(
                request.method,
                request.url,
                params=request.params,
                data=None if request.json is None else msgspec.json.encode(request.json),
                headers={} if request.json is None else {"Content-Type": "application/json"},
                auth=self._auth,
            )
        )
        if not self._environment:
            # Proxies and certificates: the same for all requests to one host, and dear to look up.
            self._environment = environment(self._session, request.url)
        response = self._session.send(
            prepared,
            timeout=self._timeout,
            allow_redirects=False,  # requests would take the key along to another host
            **self._environment,
        )
        with response:
            # In one piece: requests itself would read 10 kB at a time, for as long as all else takes.
            body = response.raw.read(decode_content=True)
        return Answer(response.status_code, response.headers, body)

    def _wait_for_pace(self, effort: Effort) -> None:
        while wait := self._pace.reserve():
            effort.paced += wait
            self.pause(wait, effort)


class HeaderAuth(requests.auth.AuthBase):
    """An API key in a header of its own."""

    def __init__(self, name: str, key: str) -> None:
        """Send `key` as header `name`."""
        self._name = name
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers[self._name] = self._key
        return request


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it wraps, outermost first; urllib3 wraps in `reason` and in `args`."""
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        it = todo.pop(0)
        if isinstance(it, BaseException) and it not in seen:
            seen.append(it)
            yield it
            todo += [getattr(it, "reason", None), *it.args, it.__cause__]


def environment(session: requests.Session, url: str) -> dict[str, Any]:
    """Return the proxies and certificates for `url`, by environment variables. Raises `ApiError`."""
    settings = dict(session.merge_environment_settings(url, {}, True, None, None))
    if urlsplit(url).scheme == "http":
        # Only loopback is asked without TLS: not by way of another machine.
        settings["proxies"] = {}
    bundle = settings["verify"]
    if isinstance(bundle, str):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(
                **{"capath" if Path(bundle).is_dir() else "cafile": bundle}
            )
        except OSError as error:
            raise ApiError(
                f"{bundle} holds no certificates: check REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE and SSL_CERT_FILE "
                "in the environment"
            ) from error
    return settings


def open_session(connections: int) -> requests.Session:
    """Return a session for many threads, without credentials or cookies."""
    session = requests.Session()
    session.headers["User-Agent"] = f"tap-msghistory/{version('tap-msghistory')}"
    session.headers["Accept"] = "application/json"
    # Neither API uses cookies, and a jar is the one part of a session that threads would share.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=connections)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    if bundle := os.environ.get("SSL_CERT_FILE"):
        # requests knows REQUESTS_CA_BUNDLE, which goes before this, but not what OpenSSL calls it.
        session.verify = bundle
    return session
