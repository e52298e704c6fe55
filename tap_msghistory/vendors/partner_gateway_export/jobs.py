"""The life of an export job: queued once, waited for, made anew when its file is gone."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tap_msghistory.errors import ApiError, UnclearError
from tap_msghistory.http.client import Client
from tap_msghistory.planning.windows import Window
from tap_msghistory.stats import Effort
from tap_msghistory.timestamps import to_text
from tap_msghistory.vendors.partner_gateway_export.endpoint import (
    JOBS_A_PAGE,
    Job,
    PartnerGatewayExport,
    State,
)

logger = logging.getLogger("tap-msghistory.exports")

#: Jobs to queue for one window, the second if the first has failed.
_JOBS_A_WINDOW = 2
#: Queue requests without a clear answer, and files that are made anew, before a window is given up.
_TRIES = 5
#: Pages of the list to look through for a job whose id is unknown: 200 jobs. Where it is not among them,
#: a second one is queued.
_PAGES = 20
_BAD_REQUEST = 400


@dataclass(frozen=True, slots=True)
class Patience:
    """The seconds between two looks for a job; the vendor recommends 5 to 10."""

    first: float = 5.0
    longest: float = 30.0
    growth: float = 1.5

    def pauses(self) -> Iterator[float]:
        """Yield one pause after another, for ever."""
        pause = self.first
        while True:
            yield pause
            pause = min(pause * self.growth, self.longest)


PATIENCE = Patience()


class ExportJobs:
    """Brings one window after another to a file that can be downloaded. Used by several threads at once."""

    def __init__(
        self, *, api: PartnerGatewayExport, client: Client, timeout: float, patience: Patience = PATIENCE
    ) -> None:
        """Queue nothing yet; `timeout`, in seconds, is how long a job is waited for."""
        self._api = api
        self._client = client
        self._timeout = timeout
        self._patience = patience
        self._queueing = threading.Lock()

    def run(self, window: Window, queued: Callable[[], None], effort: Effort) -> str:
        """Return the id of a job for `window` whose file is ready; `queued` is called once there is one.

        Raises `ApiError`, and at once when `effort` is stopped while it waits.
        """
        deadline = time.monotonic() + self._timeout
        for number in range(1, _JOBS_A_WINDOW + 1):
            job_id = self._queue(window, effort)
            logger.info("Export of %s: queued", span(window))
            queued()
            if self._is_ready(job_id, window, deadline, effort):
                return job_id
            logger.warning("Export of %s: has failed at the gateway, %d times now", span(window), number)
        raise ApiError(f"the partner gateway: the export of {span(window)} has failed {number} times")

    def link(self, job_id: str, window: Window, effort: Effort) -> str:
        """Return a fresh link to a job's file, which is made anew if it is gone. Raises `ApiError`."""
        deadline = time.monotonic() + self._timeout
        for _ in range(_TRIES):
            try:
                return self._client.send(self._api.link_request(job_id), self._api.link, effort)
            except ApiError as error:
                if error.status != _BAD_REQUEST:
                    raise
            self._renew(job_id, window, effort)
            if not self._is_ready(job_id, window, deadline, effort):
                raise ApiError(f"the partner gateway: the export of {span(window)} has failed")
        raise _gave_up(window, "its file is gone time and again")

    def listed(self, effort: Effort, page: int = 0) -> list[Job | None]:
        """Return a page of the account's jobs."""
        return self._client.send(self._api.list_request(page), self._api.jobs, effort)

    def _queue(self, window: Window, effort: Effort) -> str:
        """Queue a job and return its id; after an unclear answer, look in the list first.

        One at a time, so that a new job in the list is not another window's.
        """
        with self._queueing:
            known = {job.id for _, job in self._all_listed(effort, range(_PAGES))}
            for _ in range(_TRIES):
                try:
                    return self._client.send(self._api.queue_request(window), self._api.queued_id, effort)
                except UnclearError as error:
                    logger.warning("%s; looking in the list for the export", error)
                self._client.pause(self._patience.first, effort)
                if job := self._find_new(window, known, effort):
                    return job.id
        raise _gave_up(window, "no request to queue it was answered clearly")

    def _find_new(self, window: Window, known: set[str], effort: Effort) -> Job | None:
        """Return a job that the list shows to be the one just asked for."""
        new = (job for _, job in self._all_listed(effort, range(_PAGES)) if job.id not in known)
        return next((job for job in new if self._api.is_for(job, window)), None)

    def _is_ready(self, job_id: str, window: Window, deadline: float, effort: Effort) -> bool:
        """Wait for a job's end, and return whether there is a file."""
        for _ in range(_TRIES):
            state = self._wait(job_id, window, deadline, effort)
            if state is not State.EXPIRED:
                return state is State.READY
            self._renew(job_id, window, effort)
        raise _gave_up(window, "it expires time and again")

    def _wait(self, job_id: str, window: Window, deadline: float, effort: Effort) -> State:
        page = 0
        for pause in self._patience.pauses():
            self._client.pause(min(pause, max(deadline - time.monotonic(), 0.0)), effort)
            page, job = self._find(job_id, page, effort)
            if job and job.state is not State.PENDING:
                return job.state
            if time.monotonic() >= deadline:
                break
        raise _gave_up(window, f"it is not ready after export_timeout ({self._timeout:g} seconds)")

    def _find(self, job_id: str, page: int, effort: Effort) -> tuple[int, Job | None]:
        """Return a job and the page it is on, which is asked for first next time.

        A list may lag behind what was queued, and may be long and sorted oldest first.
        """
        last, all_pages = [page] if page else [], itertools.count()
        for pages in (last, all_pages):
            for found_on, job in self._all_listed(effort, pages):
                if job.id == job_id:
                    return found_on, job
        return 0, None

    def _all_listed(self, effort: Effort, pages: Iterable[int]) -> Iterator[tuple[int, Job]]:
        """Yield the account's jobs, each with its page, until a page is short or brings none that is new."""
        seen: set[str] = set()
        for page in pages:
            listed = self.listed(effort, page)
            jobs = [job for job in listed if job is not None and job.id not in seen]
            yield from ((page, job) for job in jobs)
            seen.update(job.id for job in jobs)
            if len(listed) < JOBS_A_PAGE or not jobs:
                break

    def _renew(self, job_id: str, window: Window, effort: Effort) -> None:
        logger.warning("Export of %s: its file has expired and is made anew", span(window))
        self._client.send(self._api.renew_request(job_id), lambda _: None, effort)


def span(window: Window) -> str:
    """Return what a window is called in logs and errors."""
    return f"{to_text(window.start)} to {to_text(window.end)}"


def _gave_up(window: Window, why: str) -> ApiError:
    return ApiError(f"the partner gateway: gave up the export of {span(window)}, as {why}")
