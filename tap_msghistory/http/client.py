"""One credential's HTTP: connections, a pace, retries. Used by many threads at once."""

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

from tap_msghistory import timestamps
from tap_msghistory.errors import ApiError, UnclearError, UnexpectedAnswerError
from tap_msghistory.http import retries
from tap_msghistory.http.connections import headers, pool_for
from tap_msghistory.http.rate_limiter import Pace
from tap_msghistory.http.retries import Answer, Retry, Stop, Use, budget_left, delay, judge
from tap_msghistory.reading.endpoint import Complaint, Request
from tap_msghistory.stats import Effort

T = TypeVar("T")
logger = logging.getLogger("tap-msghistory.client")

_LARGEST_SKEW = timedelta(minutes=5)
#: Seconds for which limits per minute may hold requests back, whatever the budget for retries.
_LONGEST_PERIOD = 60.0


class Client:
    """Sends requests with one credential, at one pace, until each is answered or its budget is spent."""

    def __init__(
        self,
        *,
        vendor: str,
        credentials: Mapping[str, str],
        complaints: tuple[Complaint, ...],
        pace: Pace,
        connections: int,
        timeout: float,
        max_retry_seconds: float,
    ) -> None:
        """Open no connection yet. `credentials` are headers; the timeouts are in seconds."""
        self._vendor = vendor
        self._headers = {**headers("application/json"), **credentials}
        self._complaints = complaints
        self._pace = pace
        self._timeout = timeout
        self._max_retry_seconds = max_retry_seconds
        self._connections = connections
        self._pool: urllib3.PoolManager | None = None
        self._clock_ahead = timedelta(0)

    @property
    def requests_per_second(self) -> float | None:
        """At most so many are sent for long; None if there is no limit."""
        return self._pace.per_second

    @property
    def most_sharers(self) -> int | None:
        """Among how many processes the credential's limits can be divided; None: among any number."""
        return self._pace.most_sharers

    def send(self, request: Request, parse: Callable[[Answer], T], effort: Effort) -> T:
        """Return what `parse` makes of the response.

        Raises `ApiError` where no further try can help or a budget is spent, and at once when `effort` is
        stopped while it waits; `UnclearError` where a request that is not repeatable may have had its effect.
        """
        started = None
        tries = 0
        accounted = 0.0
        was_suspended = False
        while True:
            self._wait_for_pace(effort)
            tries += 1
            effort.requests += 1
            effort.retries += tries > 1
            sent_at = time.monotonic()
            started = started or sent_at
            accounted += self._timeout
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
            if not was_suspended and retries.was_suspended(elapsed, accounted, self._max_retry_seconds):
                was_suspended = True
                logger.warning(
                    "%s: %s; trying once more, as this process was suspended", self._vendor, outcome.why
                )
                continue
            if not budget_left(tries, elapsed + wait, self._max_retry_seconds):
                raise ApiError(
                    f"{self._vendor}: {outcome.why}; gave up after {tries} tries in {elapsed:.0f} s, as "
                    f"another in {wait:.0f} s would be beyond max_retry_seconds "
                    f"({self._max_retry_seconds:g}) or the limit of tries"
                )
            logger.warning("%s: %s; asking again in %.1f s", self._vendor, outcome.why, wait)
            accounted += wait
            self.pause(wait, effort)

    def now(self) -> datetime:
        """Return the current time; the server's, if this machine's clock is far ahead of it."""
        return timestamps.now() - self._clock_ahead

    def pause(self, seconds: float, effort: Effort) -> None:
        """Wait. Raises `ApiError` at once when `effort` is stopped."""
        if effort.stop.wait(seconds):
            raise ApiError(f"{self._vendor}: stopped while waiting")

    def _try(
        self, request: Request, parse: Callable[[Answer], T]
    ) -> tuple[Use | Retry | Stop, tuple[T, ...]]:
        """Send once. The second item holds the result, and only beside `Use`."""
        try:
            answer = self._exchange(request)
            self._note_headers(answer)
            verdict = judge(answer, self._complaints, datetime.now(timezone.utc), request.success)
            return verdict, (parse(answer),) if isinstance(verdict, Use) else ()
        except UnexpectedAnswerError as error:
            return Retry(f"a successful answer, but {error}"), ()
        except urllib3.exceptions.LocationValueError:
            return Stop("the base URL, or that of a proxy (HTTPS_PROXY in the environment), is none"), ()
        except urllib3.exceptions.HTTPError as error:
            host = urlsplit(request.url).netloc
            if any(isinstance(it, ssl.SSLCertVerificationError) for it in _causes(error)):
                return Stop(
                    f"the TLS certificate of {host} is not trusted: check the base URL, and SSL_CERT_FILE in "
                    "the environment, where a certificate authority of your own can be named"
                ), ()
            # The errors' texts may hold what was asked for; their names say enough.
            names = " < ".join(dict.fromkeys(type(it).__name__ for it in _causes(error)))
            return Retry(f"no whole answer from {host} ({names}); if that goes on, check the base URL"), ()

    def _note_headers(self, answer: Answer) -> None:
        """Learn how many requests are left, and what time it is there."""
        headers = answer.headers
        if (allowance := retries.allowance(headers, datetime.now(timezone.utc))) is not None:
            self._pace.note_remaining(*allowance)
        date = None if headers.get("Age", "0") != "0" else retries.http_date(headers.get("Date", ""))
        if answer.status >= HTTPStatus.BAD_REQUEST or date is None:
            return
        ahead = datetime.now(timezone.utc) - date
        if ahead <= _LARGEST_SKEW:
            self._clock_ahead = timedelta(0)
        elif not self._clock_ahead:
            self._clock_ahead = ahead
            logger.warning(
                "This machine's clock is %s ahead of the clock of %s: messages are read up to the server's "
                "time. Check this machine's clock",
                timedelta(seconds=round(ahead.total_seconds())),
                self._vendor,
            )

    def _exchange(self, request: Request) -> Answer:
        if self._pool is None:
            self._pool = pool_for(request.url, self._connections)
        response = self._pool.request(
            request.method,
            f"{request.url}?{urlencode(request.params)}" if request.params else request.url,
            json=request.json,
            headers=self._headers,
            timeout=self._timeout,
            redirect=False,  # it could take the key along to another host
            retries=False,
        )
        return Answer(response.status, response.headers, response.data)

    def _wait_for_pace(self, effort: Effort) -> None:
        while wait := self._pace.reserve():
            if wait > max(self._max_retry_seconds, _LONGEST_PERIOD):
                raise ApiError(
                    f"{self._vendor}: no request may be sent for {wait:.0f} s, which is beyond "
                    f"max_retry_seconds ({self._max_retry_seconds:g})"
                )
            effort.paced += wait
            self.pause(wait, effort)


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
