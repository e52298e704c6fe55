"""The lifecycle of an export job: queue it once, wait for it, and renew its file if the file has expired."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tap_msghistory.errors import AmbiguousOutcomeError, ApiError
from tap_msghistory.http.client import Client
from tap_msghistory.planning.windows import Window
from tap_msghistory.stats import WindowStats
from tap_msghistory.vendors.partner_gateway_export.endpoint import (
    JOBS_PER_PAGE,
    Job,
    JobState,
    PartnerGatewayExportEndpoint,
)

logger = logging.getLogger("tap-msghistory.exports")

#: Jobs per window: if the first fails, a second is queued.
_JOBS_PER_WINDOW = 2
#: Maximum number of queue requests with an ambiguous outcome, and of renewals of a file.
_MAX_ATTEMPTS = 5
#: Pages of the list (200 jobs) that are searched for a job whose id is unknown. If it is not found, a second
#: job is queued.
_MAX_PAGES = 20
_BAD_REQUEST = 400


@dataclass(frozen=True, slots=True)
class PollSchedule:
    """The seconds between two polls of a job; the vendor recommends 5 to 10."""

    first: float = 5.0
    longest: float = 30.0
    growth: float = 1.5

    def pauses(self) -> Iterator[float]:
        """Yield the pauses, endlessly."""
        pause = self.first
        while True:
            yield pause
            pause = min(pause * self.growth, self.longest)


POLL_SCHEDULE = PollSchedule()


class ExportJobs:
    """Exports windows to files that can be downloaded. Used by several threads at once."""

    def __init__(
        self,
        *,
        endpoint: PartnerGatewayExportEndpoint,
        client: Client,
        timeout: float,
        poll_schedule: PollSchedule = POLL_SCHEDULE,
    ) -> None:
        """Store the configuration. `timeout` is the maximum time to wait for a window, in seconds."""
        self._endpoint = endpoint
        self._client = client
        self._timeout = timeout
        self._poll_schedule = poll_schedule
        self._queueing = threading.Lock()

    def run(self, window: Window, on_queued: Callable[[], None], stats: WindowStats) -> str:
        """Return the id of a job for `window` whose file is ready; `on_queued` is called once it is queued.

        Raises `ApiError`, also as soon as `stats.cancelled` is set during a wait.
        """
        deadline = time.monotonic() + self._timeout
        for number in range(1, _JOBS_PER_WINDOW + 1):
            job_id = self._queue(window, stats)
            logger.info("Export of %s: queued", window.describe())
            on_queued()
            if self._is_ready(job_id, window, deadline, stats):
                return job_id
            logger.warning(
                "Export of %s: failed at the gateway (attempt %d of %d)",
                window.describe(),
                number,
                _JOBS_PER_WINDOW,
            )
        raise ApiError(
            f"the partner gateway: the export of {window.describe()} failed {_JOBS_PER_WINDOW} times"
        )

    def link(self, job_id: str, window: Window, stats: WindowStats) -> str:
        """Return a new link to a job's file. If the file was deleted, it is renewed. Raises `ApiError`."""
        deadline = time.monotonic() + self._timeout
        for _ in range(_MAX_ATTEMPTS):
            try:
                return self._client.send(self._endpoint.link_request(job_id), self._endpoint.link, stats)
            except ApiError as error:
                if error.status != _BAD_REQUEST:
                    raise
            self._renew(job_id, window, stats)
            if not self._is_ready(job_id, window, deadline, stats):
                raise ApiError(f"the partner gateway: the export of {window.describe()} failed")
        raise _gave_up(window, "its file expired repeatedly")

    def list_jobs(self, stats: WindowStats, page: int = 0) -> list[Job | None]:
        """Return a page of the account's jobs."""
        return self._client.send(self._endpoint.list_request(page), self._endpoint.jobs, stats)

    def _queue(self, window: Window, stats: WindowStats) -> str:
        """Queue a job and return its id. After an ambiguous outcome, search the list for it first.

        Jobs are queued one at a time, so that a new job in the list cannot belong to another window.
        """
        with self._queueing:
            known = {job.id for _, job in self._all_jobs(stats, range(_MAX_PAGES))}
            for _ in range(_MAX_ATTEMPTS):
                try:
                    return self._client.send(
                        self._endpoint.queue_request(window), self._endpoint.queued_id, stats
                    )
                except AmbiguousOutcomeError as error:
                    logger.warning("%s; searching the list of exports for the job", error)
                self._client.pause(self._poll_schedule.first, stats)
                if job := self._find_new(window, known, stats):
                    return job.id
        raise _gave_up(window, "every queue request had an ambiguous outcome")

    def _find_new(self, window: Window, known: set[str], stats: WindowStats) -> Job | None:
        """Return the new job that matches the request just sent."""
        new = (job for _, job in self._all_jobs(stats, range(_MAX_PAGES)) if job.id not in known)
        return next((job for job in new if self._endpoint.is_for(job, window)), None)

    def _is_ready(self, job_id: str, window: Window, deadline: float, stats: WindowStats) -> bool:
        """Wait for a job to end, and return whether it has a file."""
        for _ in range(_MAX_ATTEMPTS):
            state = self._wait(job_id, window, deadline, stats)
            if state is not JobState.EXPIRED:
                return state is JobState.READY
            self._renew(job_id, window, stats)
        raise _gave_up(window, "it expired repeatedly")

    def _wait(self, job_id: str, window: Window, deadline: float, stats: WindowStats) -> JobState:
        page = 0
        for pause in self._poll_schedule.pauses():
            self._client.pause(min(pause, max(deadline - time.monotonic(), 0.0)), stats)
            page, job = self._find(job_id, page, stats)
            if job and job.state is not JobState.PENDING:
                return job.state
            if time.monotonic() >= deadline:
                break
        raise _gave_up(window, f"it is not ready after export_timeout ({self._timeout:g} seconds)")

    def _find(self, job_id: str, page: int, stats: WindowStats) -> tuple[int, Job | None]:
        """Return a job and its page, starting with `page`, where it was found last.

        A new job may be missing from the list at first, and the list may be long and sorted oldest first.
        """
        last, all_pages = [page] if page else [], itertools.count()
        for pages in (last, all_pages):
            for found_on, job in self._all_jobs(stats, pages):
                if job.id == job_id:
                    return found_on, job
        return 0, None

    def _all_jobs(self, stats: WindowStats, pages: Iterable[int]) -> Iterator[tuple[int, Job]]:
        """Yield the account's jobs with their pages, until a page is short or contains no new job."""
        seen: set[str] = set()
        for page in pages:
            listed = self.list_jobs(stats, page)
            jobs = [job for job in listed if job is not None and job.id not in seen]
            yield from ((page, job) for job in jobs)
            seen.update(job.id for job in jobs)
            if len(listed) < JOBS_PER_PAGE or not jobs:
                break

    def _renew(self, job_id: str, window: Window, stats: WindowStats) -> None:
        logger.warning("Export of %s: the file has expired; requesting a new one", window.describe())
        self._client.send(self._endpoint.renew_request(job_id), lambda _: None, stats)


def _gave_up(window: Window, reason: str) -> ApiError:
    return ApiError(f"the partner gateway: gave up on the export of {window.describe()}: {reason}")
