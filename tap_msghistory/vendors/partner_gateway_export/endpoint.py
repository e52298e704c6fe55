"""The export endpoints: `POST .../messages/history/export` and `.../exports`.

Sources: the vendor's API reference, and its guide on exports. They describe the responses without
examples, so each value is looked up under several names. These names are defined only here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from urllib.parse import quote

import msgspec
from urllib3 import BaseHTTPResponse

from tap_msghistory.errors import UnexpectedResponseError
from tap_msghistory.http import json_bodies
from tap_msghistory.http.request import Request
from tap_msghistory.planning.windows import Window
from tap_msghistory.timestamps import MILLISECOND, to_text

_ID = ("id", "exportId", "jobId", "reference")
_LINK = ("url", "downloadUrl", "link", "downloadLink")
_LIST = ("exports", "content", "items")
_STATUS = ("status", "state")
_IS_AVAILABLE = ("isAvailableForDownload", "availableForDownload")
_START = ("startDateTime", "from")
_END = ("endDateTime", "to")
_KIND = ("type", "exportType", "kind")
_EMPTY: tuple[Any, ...] = (None, "", [], {})
#: Filters of a job, at any depth of its entry in the list.
_FILTERS = (
    "sender", "recipient", "destination", "phone", "phoneNumber", "msisdn", "channel", "channels",
    "campaign", "campaignId",
)  # fmt: skip

#: The documented default page size, which no server should cap.
JOBS_PER_PAGE = 10
#: Timestamps in the list may be truncated to whole seconds.
_TOLERANCE = timedelta(seconds=1)
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


class JobState(Enum):
    """The state of a job."""

    PENDING = "pending"
    READY = "ready"  #: its file can be downloaded
    FAILED = "failed"
    EXPIRED = "expired"  #: its file was deleted and can be requested again


#: The vendor's documentation names PENDING, COMPLETED and EXPIRED, and "in progress, completed, or failed". A
#: job with any other status has ended without a file.
_READY = {"COMPLETED", "COMPLETE", "READY", "DONE", "FINISHED", "SUCCESS", "SUCCEEDED", "AVAILABLE"}
_PENDING = {
    "PENDING", "INPROGRESS", "QUEUED", "PROCESSING", "RUNNING", "CREATED", "NEW", "WAITING", "SUBMITTED",
    "STARTED", "SCHEDULED", "ACCEPTED",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """A job in the list of jobs."""

    id: str
    state: JobState
    start: datetime | None  #: of the exported range; None: not listed
    end: datetime | None
    filters: Mapping[str, Any]  #: the listed filters that have a value
    exports_messages: bool  #: False if the list names another type of export


@dataclass(frozen=True, slots=True)
class PartnerGatewayExportEndpoint:
    """The exports of one account, narrowed by `filters` (`sender`, `recipient`)."""

    base_url: str
    filters: Mapping[str, str] = field(default_factory=dict)

    def queue_request(self, window: Window) -> Request:
        """Return the request for a new job. Sending it twice would create two jobs.

        It is not documented whether the bounds are inclusive. If both were exclusive, the messages of the
        instant at which two windows meet would be lost, so the start is a millisecond early.
        """
        body = {
            "startDateTime": to_text(window.start - MILLISECOND),
            "endDateTime": to_text(window.end),
            **self.filters,
        }
        url = f"{self.base_url}/partner-gateway/v1/messages/history/export"
        return Request("POST", url, json=body, success=frozenset({200, 201, 202}), is_repeatable=False)

    def list_request(self, page: int) -> Request:
        """Return the request for a page of the list of jobs."""
        url = f"{self.base_url}/partner-gateway/v1/exports"
        return Request("GET", url, params={"page": page, "limit": JOBS_PER_PAGE})

    def link_request(self, job_id: str) -> Request:
        """Return the request for the link to a job's file. The status is 400 if the file was deleted."""
        return Request("GET", self._job_url(job_id))

    def renew_request(self, job_id: str) -> Request:
        """Return the request to generate a job's file again."""
        return Request("POST", self._job_url(job_id), success=frozenset({200, 201, 202, 204}))

    def queued_id(self, response: BaseHTTPResponse) -> str:
        """Return the id of a queued job. Raises `UnexpectedResponseError`."""
        content = json_bodies.read(response, _decoder)
        id_ = _as_id(_first(content, _ID) if isinstance(content, dict) else content)
        if id_ is None:
            raise UnexpectedResponseError("it contains no export id")
        return id_

    def jobs(self, response: BaseHTTPResponse) -> list[Job | None]:
        """Return a page of jobs; None for an entry without an id. Raises `UnexpectedResponseError`."""
        content = json_bodies.read(response, _decoder)
        items = _first(content, _LIST) if isinstance(content, dict) else content
        if not isinstance(items, list):
            raise UnexpectedResponseError("it is not a list of exports")
        return [*map(_job, items)]

    def link(self, response: BaseHTTPResponse) -> str:
        """Return the link to a file. Raises `UnexpectedResponseError`."""
        content = json_bodies.read(response, _decoder)
        link = _first(content, _LINK) if isinstance(content, dict) else content
        if not isinstance(link, str) or not link:
            raise UnexpectedResponseError("it contains no link")
        return link

    def is_for(self, job: Job, window: Window) -> bool:
        """Return whether a job is listed with the range of `window` and with these filters.

        Another program's job may have the same range. A second job is cheaper than the wrong rows.
        """
        bounds = ((job.start, window.start), (job.end, window.end))
        is_range = all(
            listed is not None and abs(listed - expected) <= _TOLERANCE for listed, expected in bounds
        )
        return is_range and job.exports_messages and job.filters == self.filters

    def _job_url(self, job_id: str) -> str:
        return f"{self.base_url}/partner-gateway/v1/exports/{quote(job_id, safe='')}"


def _job(entry: Any) -> Job | None:
    id_ = _as_id(_first(entry, _ID)) if isinstance(entry, dict) else None
    if id_ is None:
        return None
    return Job(
        id=id_,
        state=_state(entry),
        start=_time(_first(entry, _START)),
        end=_time(_first(entry, _END)),
        filters=_filters(entry),
        exports_messages=_exports_messages(_first(entry, _KIND)),
    )


def _filters(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the filters of a job, including those in nested objects."""
    found = {name: entry[name] for name in _FILTERS if entry.get(name) not in _EMPTY}
    for name, value in entry.items():
        if isinstance(value, dict):
            found.update(_filters(value))
        elif name.lower().endswith("filters") and value not in _EMPTY:
            found[name] = value  # in an unknown form, so it matches no filter of this tap
    return found


def _exports_messages(kind: Any) -> bool:
    return kind is None or any(word in str(kind).upper() for word in ("MESSAGE", "HISTORY"))


def _state(entry: dict[str, Any]) -> JobState:
    status, is_available = _first(entry, _STATUS), _first(entry, _IS_AVAILABLE)
    name = "".join(filter(str.isalpha, str(status or ""))).upper()
    if not name:
        return JobState.READY if is_available else JobState.PENDING
    if name in _READY:
        return JobState.READY if is_available in (None, True) else JobState.EXPIRED
    if name in _PENDING:
        return JobState.READY if is_available else JobState.PENDING
    return JobState.EXPIRED if name == "EXPIRED" else JobState.FAILED


def _first(content: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Return the value of the first of `names` that has one, else None."""
    return next((content[name] for name in names if content.get(name) is not None), None)


def _as_id(value: Any) -> str | None:
    is_id = isinstance(value, (str, int)) and not isinstance(value, bool)
    return str(value) or None if is_id else None


def _time(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
