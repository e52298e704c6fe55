"""The gateway's exports: `POST .../messages/history/export` queues a job, `.../exports` lists the jobs.

The gateway's documentation describes the responses without examples; the property names follow the
description. Download links lead to another host name, like those of a storage service, and each is valid for
one download.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from msghistory_sandbox import gateway
from msghistory_sandbox.export_files import render, render_synthetic
from msghistory_sandbox.history import History
from msghistory_sandbox.options import ExportOptions, GatewayOptions
from msghistory_sandbox.responses import ApiResponse, error_response
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
    """An export job; times in epoch ms, bounds included."""

    id: str
    body: QueueBody
    start_ms: int
    end_ms: int
    queued_ms: int
    remaining_omissions: int
    """Number of further list responses that omit the job."""
    remaining_polls: int
    """Number of further times that the job is listed as pending."""
    status: str = "PENDING"


class ExportApi:
    """The export jobs of one account. Methods raise ValueError for an invalid request."""

    def __init__(self, histories: Mapping[str, History], options: ExportOptions) -> None:
        self._histories = histories
        self._options = options
        self._jobs: dict[str, Job] = {}
        self._numbers = itertools.count(1)
        self._links: dict[str, Job] = {}

    def queue(self, body: bytes, clock_ms: int) -> ApiResponse:
        """Queue a job."""
        parsed = msgspec.json.decode(body, type=QueueBody)
        # Round the bounds inward to whole ms.
        start_ms = -(-parse_us(parsed.startDateTime) // 1000)
        end_ms = parse_us(parsed.endDateTime) // 1000
        options = self._options
        job = Job(
            f"export-{next(self._numbers)}", parsed, start_ms, end_ms, clock_ms, options.lag, options.polls
        )
        self._jobs[job.id] = job
        return ApiResponse(202, {"exportId": job.id, "status": job.status}, {})

    def list_jobs(self, params: Mapping[str, str], clock_ms: int) -> ApiResponse:
        """Return one page of the list of jobs."""
        page, limit = int(params.get("page", "0")), int(params.get("limit", str(DEFAULT_LIMIT)))
        if page < 0 or limit < 1:
            raise ValueError("page must be at least 0, limit at least 1")
        jobs = self._jobs.values() if self._options.oldest_first else reversed(self._jobs.values())
        visible = [job for job in jobs if not self._is_omitted(job)]
        listed = visible[page * limit : (page + 1) * limit]
        return ApiResponse(200, [self._list_entry(job, clock_ms) for job in listed], {})

    def create_link(self, job_id: str, base_url: str) -> ApiResponse:
        """Return a job, with a new download link if it is completed."""
        job = self._jobs.get(job_id)
        if job is None:
            return error_response(404, "No such export")
        if job.status == "COMPLETED" and self._options.expire_next > 0:
            self._options.expire_next -= 1
            job.status = "EXPIRED"
        if job.status == "EXPIRED":
            return error_response(400, "The export has expired")
        body = {"exportId": job.id, "status": job.status}
        if job.status == "COMPLETED":
            signature = secrets.token_hex(16)
            self._links[signature] = job
            scheme, _, rest = base_url.partition("://")
            port = rest.rpartition(":")[2]
            body["downloadUrl"] = (
                f"{scheme}://{self._options.host}:{port}{DOWNLOAD_PATH}/{job.id}.csv?signature={signature}"
            )
        return ApiResponse(200, body, {})

    def renew(self, job_id: str, clock_ms: int) -> ApiResponse:
        """Queue a job again, to create a new file."""
        job = self._jobs.get(job_id)
        if job is None:
            return error_response(404, "No such export")
        job.status, job.remaining_polls, job.queued_ms = "PENDING", self._options.polls, clock_ms
        return ApiResponse(202, {"exportId": job.id, "status": job.status}, {})

    def redeem(self, signature: str, clock_ms: int) -> bytes | Iterable[bytes] | None:
        """Return the file of a link, whole or in chunks; None if the link is not or no longer valid."""
        job = self._links.pop(signature, None)
        if job is None:
            return None
        if self._options.rows is not None:
            return render_synthetic(self._options.rows, job.start_ms, job.end_ms)
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
        sender, recipient = job.body.sender, job.body.recipient
        return [
            row
            for row in rows
            if sender in (None, row.get("sender")) and recipient in (None, row["destination"])
        ]

    def _is_omitted(self, job: Job) -> bool:
        job.remaining_omissions -= 1
        return job.remaining_omissions >= 0

    def _list_entry(self, job: Job, clock_ms: int) -> dict[str, Any]:
        """Count one poll of a job, and return its entry in the list."""
        if job.status == "PENDING":
            job.remaining_polls -= 1
            if job.remaining_polls < 0 and clock_ms >= job.queued_ms + self._options.seconds * 1000:
                job.status = self._final_status()
        entry = {
            "exportId": job.id,
            "status": job.status,
            "isAvailableForDownload": job.status == "COMPLETED",
            "createdAt": utc_time(job.queued_ms),
        }
        if not self._options.hide_range:
            entry |= {"startDateTime": job.body.startDateTime, "endDateTime": job.body.endDateTime}
        return entry

    def _final_status(self) -> str:
        options = self._options
        if options.fail_next > 0:
            options.fail_next -= 1
            return "FAILED"
        if options.expire_listed_next > 0:
            options.expire_listed_next -= 1
            return "EXPIRED"
        return "COMPLETED"
