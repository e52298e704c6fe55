"""HTTP with one credential: connections, rate limits, retries."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3 import BaseHTTPResponse

from tap_msghistory import timestamps
from tap_msghistory.errors import AmbiguousOutcomeError, ApiError, UnexpectedResponseError
from tap_msghistory.http import retries
from tap_msghistory.http.connections import headers, pool_for
from tap_msghistory.http.rate_limiter import RateLimiter
from tap_msghistory.http.request import ErrorRule, Request
from tap_msghistory.http.retries import Fail, Jitter, Retry, Success
from tap_msghistory.stats import WindowStats

T = TypeVar("T")
logger = logging.getLogger("tap-msghistory.client")

_MAX_CLOCK_SKEW = timedelta(minutes=5)
#: Seconds for which rate limits may delay a request even if the retry budget is smaller.
_MIN_THROTTLE_SECONDS = 60.0


class Client:
    """Sends requests until each succeeds or its retry budget is spent. Used by many threads at once."""

    def __init__(
        self,
        *,
        vendor: str,
        credentials: Mapping[str, str],
        error_rules: tuple[ErrorRule, ...],
        rate_limiter: RateLimiter,
        connections: int,
        timeout: float,
        max_retry_seconds: float,
        jitter: Jitter,
    ) -> None:
        """Store the configuration; connections are opened by the first request.

        `credentials` are headers. `vendor` is a name for log lines and errors. `timeout` (seconds) applies
        to connecting and to each wait for data. `jitter` chooses the waits between attempts.
        """
        self._vendor = vendor
        self._headers = {**headers("application/json"), **credentials}
        self._error_rules = error_rules
        self._rate_limiter = rate_limiter
        self._timeout = timeout
        self._max_retry_seconds = max_retry_seconds
        self._jitter = jitter
        self._connections = connections
        self._pool: urllib3.PoolManager | None = None
        self._clock_ahead = timedelta(0)

    @property
    def requests_per_second(self) -> float | None:
        """The sustained rate that the limits allow; None: unlimited."""
        return self._rate_limiter.per_second

    @property
    def max_processes(self) -> int | None:
        """Maximum number of processes among which the limits can be divided; None: unlimited."""
        return self._rate_limiter.max_processes

    def send(self, request: Request, parse: Callable[[BaseHTTPResponse], T], stats: WindowStats) -> T:
        """Return the result of `parse` for the successful response.

        Raises `ApiError` if no retry can help, if a budget is spent, or if `stats.cancelled` is set during a
        wait. Raises `AmbiguousOutcomeError` if a request that is not repeatable may have had its effect.
        """
        started = None
        attempts = 0
        accounted = 0.0
        was_suspended = False
        while True:
            self._wait_for_rate_limit(stats)
            attempts += 1
            stats.requests += 1
            stats.retries += attempts > 1
            sent_at = time.monotonic()
            started = started or sent_at
            accounted += self._timeout
            outcome = self._attempt(request, parse)
            if isinstance(outcome, Fail):
                raise ApiError(f"{self._vendor}: {outcome.reason}", outcome.status)
            if not isinstance(outcome, Retry):
                self._rate_limiter.speed_up()
                return outcome
            if not (request.is_repeatable or outcome.without_effect):
                raise AmbiguousOutcomeError(f"{self._vendor}: {outcome.reason}")
            wait = self.backoff_delay(attempts, outcome.retry_after)
            if outcome.rate_limited:
                wait = self._rate_limiter.slow_down(sent_at, wait)
            elapsed = time.monotonic() - started
            if not was_suspended and retries.was_suspended(elapsed, accounted, self._max_retry_seconds):
                was_suspended = True
                logger.warning(
                    "%s: %s; this process was suspended, so the request is retried once more",
                    self._vendor,
                    outcome.reason,
                )
                continue
            if not retries.within_retry_budget(attempts, elapsed + wait, self._max_retry_seconds):
                raise ApiError(
                    f"{self._vendor}: {outcome.reason}; gave up after {attempts} attempts in {elapsed:.0f} "
                    f"s; the next retry, in {wait:.0f} s, would exceed max_retry_seconds "
                    f"({self._max_retry_seconds:g}) or the limit of {retries.MAX_ATTEMPTS} attempts"
                )
            logger.warning("%s: %s; retrying in %.1f s", self._vendor, outcome.reason, wait)
            accounted += wait
            self.pause(wait, stats)

    def now(self) -> datetime:
        """Return the current time, by the server's clock if this machine's clock is far ahead of it."""
        return timestamps.now() - self._clock_ahead

    def backoff_delay(self, attempts: int, retry_after: float = 0.0) -> float:
        """Return the seconds to wait after the given number of attempts."""
        return retries.backoff_delay(attempts, retry_after, self._jitter)

    def pause(self, seconds: float, stats: WindowStats) -> None:
        """Wait. Raises `ApiError` as soon as `stats.cancelled` is set."""
        if stats.cancelled.wait(seconds):
            raise ApiError(f"{self._vendor}: stopped while waiting")

    def _attempt(self, request: Request, parse: Callable[[BaseHTTPResponse], T]) -> T | Retry | Fail:
        """Send a request once, and parse a successful response."""
        try:
            response = self._exchange(request)
            self._read_headers(response)
            outcome = retries.classify_response(
                response, self._error_rules, datetime.now(timezone.utc), request.success
            )
            return parse(response) if isinstance(outcome, Success) else outcome
        except UnexpectedResponseError as error:
            return Retry(f"a successful response, but {error}")
        except urllib3.exceptions.LocationValueError:
            return Fail("the base URL or the proxy URL (HTTPS_PROXY in the environment) is not valid")
        except urllib3.exceptions.HTTPError as error:
            return _classify_error(error, urlsplit(request.url).netloc)

    def _read_headers(self, response: BaseHTTPResponse) -> None:
        """Record the remaining requests and the server's time from the headers."""
        headers, now = response.headers, datetime.now(timezone.utc)
        if (remaining := retries.remaining_requests(headers, now)) is not None:
            self._rate_limiter.note_remaining(*remaining)
        # A cached response contains the time at which it was generated.
        date = None if headers.get("Age", "0") != "0" else retries.http_date(headers.get("Date", ""))
        if response.status >= HTTPStatus.BAD_REQUEST or date is None:
            return
        ahead = now - date
        if ahead <= _MAX_CLOCK_SKEW:
            self._clock_ahead = timedelta(0)
        elif not self._clock_ahead:
            self._clock_ahead = ahead
            logger.warning(
                "This machine's clock is %s ahead of the clock of %s: messages are read up to the server's "
                "time. Check this machine's clock",
                timedelta(seconds=round(ahead.total_seconds())),
                self._vendor,
            )

    def _exchange(self, request: Request) -> BaseHTTPResponse:
        if self._pool is None:
            self._pool = pool_for(request.url, self._connections)
        return self._pool.request(
            request.method,
            f"{request.url}?{urlencode(request.params)}" if request.params else request.url,
            json=request.json,
            headers=self._headers,
            timeout=self._timeout,
            redirect=False,  # a redirect could send the key to another host
            retries=False,
        )

    def _wait_for_rate_limit(self, stats: WindowStats) -> None:
        while wait := self._rate_limiter.reserve():
            if wait > max(self._max_retry_seconds, _MIN_THROTTLE_SECONDS):
                raise ApiError(
                    f"{self._vendor}: the rate limit allows no request for {wait:.0f} s, which exceeds "
                    f"max_retry_seconds ({self._max_retry_seconds:g})"
                )
            stats.throttled_seconds += wait
            self.pause(wait, stats)


def _classify_error(error: urllib3.exceptions.HTTPError, host: str) -> Retry | Fail:
    """Decide by the causes of an error that prevented a response."""
    types = [type(cause) for cause in _causes(error)]
    if any(issubclass(type_, ssl.SSLCertVerificationError) for type_ in types):
        return Fail(
            f"the TLS certificate of {host} is not trusted: check the base URL. If your network uses its own "
            "certificate authority, set SSL_CERT_FILE in the environment"
        )
    # The text of these errors can contain the request. Their names are enough.
    names = " < ".join(dict.fromkeys(type_.__name__ for type_ in types))
    if any(issubclass(type_, urllib3.exceptions.ProxyError) for type_ in types):
        advice = "check HTTPS_PROXY"
    elif any(issubclass(type_, urllib3.exceptions.NameResolutionError) for type_ in types):
        advice = "check the network, the name server and the base URL"
    else:
        advice = "check the network and the base URL"
    return Retry(f"no complete response from {host} ({names}); if this persists, {advice}")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and the errors it wraps, outermost first; urllib3 wraps in `reason` and in `args`."""
    seen: list[BaseException] = []
    queue: list[object] = [error]
    while queue:
        cause = queue.pop(0)
        if isinstance(cause, BaseException) and cause not in seen:
            seen.append(cause)
            yield cause
            queue += [getattr(cause, "reason", None), *cause.args, cause.__cause__]
