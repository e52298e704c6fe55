"""Emulates the gateway's exports: `POST .../messages/history/export` queues, `.../exports` lists.

The gateway's pages describe the answers but show none; the names of their properties are made up from the
description. Links lead to another host name, as those of a storage service do, and each is good for one
download.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from msghistory_sandbox import gateway
from msghistory_sandbox.answers import Answer, refusal
from msghistory_sandbox.export_files import made_up, render
from msghistory_sandbox.history import History
from msghistory_sandbox.options import ExportOptions, GatewayOptions
from msghistory_sandbox.times import parse_us, utc_time

QUEUE_PATH = f"{gateway.PATH}/export"
LIST_PATH = "/api/partner-gateway/v1/exports"
DOWNLOAD_PATH = "/sandbox/downloads"
DEFAULT_LIMIT = 10


class QueueBody(msgspec.Struct):
    """Body of a queue request."""

    startDateTime: str  # noqa: N815 - the gateway's spelling
    endDateTime: str  # noqa: N815
    sender: str | None = None
    recipient: str | None = None


@dataclass(slots=True)
class Job:
    """An export; times in epoch ms, bounds included."""

    id: str
    asked: QueueBody
    start_ms: int
    end_ms: int
    queued_ms: int
    hidden: int
    """How often the list is still given without it."""
    pending: int
    """How often it is still listed as pending."""
    status: str = "PENDING"


class ExportApi:
    """Keeps the jobs of one account."""

    def __init__(self, histories: Mapping[str, History], options: ExportOptions) -> None:
        """Begin with no job."""
        self._histories = histories
        self._options = options
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(1)
        self._links: dict[str, Job] = {}

    def queue(self, body: bytes, clock_ms: int) -> Answer:
        """Queue a job; what is wrong with the body comes as a ValueError."""
        asked = msgspec.json.decode(body, type=QueueBody)
        # Whole ms within the bounds: up from the one, down from the other.
        start_ms = -(-parse_us(asked.startDateTime) // 1000)
        end_ms = parse_us(asked.endDateTime) // 1000
        options = self._options
        job = Job(
            f"export-{next(self._numbers)}", asked, start_ms, end_ms, clock_ms, options.lag, options.polls
        )
        self._jobs[job.id] = job
        return Answer(202, {"exportId": job.id, "status": job.status}, {})

    def listed(self, params: Mapping[str, str], clock_ms: int) -> Answer:
        """Give a page of the jobs."""
        page, limit = int(params.get("page", "0")), int(params.get("limit", str(DEFAULT_LIMIT)))
        if page < 0 or limit < 1:
            raise ValueError("page must be at least 0, limit at least 1")
        jobs = self._jobs.values() if self._options.oldest_first else reversed(self._jobs.values())
        shown = [job for job in jobs if not self._is_hidden(job)]
        listed = shown[page * limit : (page + 1) * limit]
        return Answer(200, [self._shown(job, clock_ms) for job in listed], {})

    def link(self, job_id: str, base_url: str) -> Answer:
        """Give a job with a fresh link."""
        job = self._jobs.get(job_id)
        if job is None:
            return refusal(404, "No such export")
        if job.status == "COMPLETED" and self._options.expire_next > 0:
            self._options.expire_next -= 1
            job.status = "EXPIRED"
        if job.status == "EXPIRED":
            return refusal(400, "The export has expired")
        answer = {"exportId": job.id, "status": job.status}
        if job.status == "COMPLETED":
            signature = secrets.token_hex(16)
            self._links[signature] = job
            scheme, _, rest = base_url.partition("://")
            port = rest.rpartition(":")[2]
            answer["downloadUrl"] = (
                f"{scheme}://{self._options.host}:{port}{DOWNLOAD_PATH}/{job.id}.csv?signature={signature}"
            )
        return Answer(200, answer, {})

    def renew(self, job_id: str, clock_ms: int) -> Answer:
        """Make a job's file anew."""
        job = self._jobs.get(job_id)
        if job is None:
            return refusal(404, "No such export")
        job.status, job.pending, job.queued_ms = "PENDING", self._options.polls, clock_ms
        return Answer(202, {"exportId": job.id, "status": job.status}, {})

    def redeem(self, signature: str, clock_ms: int) -> bytes | Iterable[bytes] | None:
        """Give a link's file, whole or piece by piece; None for a link that is not (or no longer) good."""
        job = self._links.pop(signature, None)
        if job is None:
            return None
        if self._options.rows is not None:
            return made_up(self._options.rows, job.start_ms, job.end_ms)
        return render(self._rows(job, clock_ms), self._options)

    def _rows(self, job: Job, clock_ms: int) -> list[dict[str, Any]]:
        """Render the messages of all channels, newest first."""
        found = [
            message
            for history in self._histories.values()
            for message in history.between(job.start_ms, job.end_ms)
            if message.visible_ms <= clock_ms and (message.customer_id or not self._options.only_named)
        ]
        found.sort(key=lambda message: message.sent_ms, reverse=True)
        rows = (gateway.row(message, clock_ms, GatewayOptions()) for message in found)
        asked = job.asked
        return [
            row
            for row in rows
            if asked.sender in (None, row.get("sender")) and asked.recipient in (None, row["destination"])
        ]

    def _is_hidden(self, job: Job) -> bool:
        job.hidden -= 1
        return job.hidden >= 0

    def _shown(self, job: Job, clock_ms: int) -> dict[str, Any]:
        if job.status == "PENDING":
            job.pending -= 1
            if job.pending < 0 and clock_ms >= job.queued_ms + self._options.seconds * 1000:
                job.status = self._end()
        shown = {
            "exportId": job.id,
            "status": job.status,
            "isAvailableForDownload": job.status == "COMPLETED",
            "createdAt": utc_time(job.queued_ms),
        }
        if not self._options.hide_range:
            shown |= {"startDateTime": job.asked.startDateTime, "endDateTime": job.asked.endDateTime}
        return shown

    def _end(self) -> str:
        options = self._options
        if options.fail_next > 0:
            options.fail_next -= 1
            return "FAILED"
        if options.expire_listed_next > 0:
            options.expire_listed_next -= 1
            return "EXPIRED"
        return "COMPLETED"
