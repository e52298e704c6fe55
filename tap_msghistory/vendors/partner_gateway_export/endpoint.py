"""The partner gateway's asynchronous export: `POST partner-gateway/v1/messages/history/export`.

Sources: the vendor's pages of the API reference, and its guide on exports. They describe the answers but
show none, so each is read under several names; these stand here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from urllib.parse import quote

import msgspec

from tap_msghistory.errors import UnexpectedAnswerError
from tap_msghistory.http import json_bodies as bodies
from tap_msghistory.http.retries import Answer
from tap_msghistory.planning.windows import Window
from tap_msghistory.reading.endpoint import Request
from tap_msghistory.timestamps import MILLISECOND, to_text

_ID = ("id", "exportId", "jobId", "reference")
_LINK = ("url", "downloadUrl", "link", "downloadLink")
_LIST = ("exports", "content", "items")
_STATUS = ("status", "state")
_IS_AVAILABLE = ("isAvailableForDownload", "availableForDownload")
_START = ("startDateTime", "from")
_END = ("endDateTime", "to")
_KIND = ("type", "exportType", "kind")
#: What may narrow a job, wherever the list shows it.
_FILTERS = ("sender", "recipient", "destination", "channel", "channels")

#: What is documented as the page size when none is asked for, so that no server cuts it short.
JOBS_A_PAGE = 10
#: A listed time may be cut to whole seconds.
_NEAR = timedelta(seconds=1)
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


class State(Enum):
    """What has become of a job."""

    PENDING = "pending"
    READY = "ready"  #: its file can be downloaded
    FAILED = "failed"
    EXPIRED = "expired"  #: its file is gone, and can be made anew


#: The vendor's documentation names PENDING, COMPLETED and EXPIRED, and "in progress, completed, or failed". A
#: status of another name is one of a job that has ended without a file.
_READY = {"COMPLETED", "COMPLETE", "READY", "DONE", "FINISHED", "SUCCESS", "SUCCEEDED", "AVAILABLE"}
_PENDING = {
    "PENDING", "INPROGRESS", "QUEUED", "PROCESSING", "RUNNING", "CREATED", "NEW", "WAITING", "SUBMITTED",
    "STARTED", "SCHEDULED", "ACCEPTED",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """A job, as the list of jobs shows it; None where it does not say."""

    id: str
    state: State
    start: datetime | None
    end: datetime | None
    filters: Mapping[str, Any]  #: those that are listed with a value
    is_of_messages: bool  #: as far as the list shows


@dataclass(frozen=True, slots=True)
class PartnerGatewayExport:
    """Exports of one account, narrowed by `filters` (`sender`, `recipient`)."""

    base_url: str
    filters: Mapping[str, str] = field(default_factory=dict)

    def queue_request(self, window: Window) -> Request:
        """Ask for a new job. Asked twice, the gateway would work twice.

        The pages do not say whether the bounds are inclusive: the start is a little early, as two
        windows would lose the instant at which they meet if neither were.
        """
        body = {
            "startDateTime": to_text(window.start - MILLISECOND),
            "endDateTime": to_text(window.end),
            **self.filters,
        }
        url = f"{self.base_url}/partner-gateway/v1/messages/history/export"
        return Request("POST", url, json=body, success=frozenset({200, 201, 202}), is_repeatable=False)

    def list_request(self, page: int) -> Request:
        """Ask for a page of the jobs."""
        url = f"{self.base_url}/partner-gateway/v1/exports"
        return Request("GET", url, params={"page": page, "limit": JOBS_A_PAGE})

    def link_request(self, job_id: str) -> Request:
        """Ask for the link to a job's file; answered 400 where the file is gone."""
        return Request("GET", self._job_url(job_id))

    def renew_request(self, job_id: str) -> Request:
        """Ask for a job's file to be made anew."""
        return Request("POST", self._job_url(job_id), success=frozenset({200, 201, 202, 204}))

    def queued_id(self, response: Answer) -> str:
        """Return the id of a job that was queued. Raises `UnexpectedAnswerError`."""
        answer = bodies.read(response, _decoder)
        id_ = _as_id(_first(answer, _ID) if isinstance(answer, dict) else answer)
        if id_ is None:
            raise UnexpectedAnswerError("it names no export")
        return id_

    def jobs(self, response: Answer) -> list[Job | None]:
        """Return a page of jobs; None for what is listed without an identifier.

        Raises `UnexpectedAnswerError`.
        """
        answer = bodies.read(response, _decoder)
        items = _first(answer, _LIST) if isinstance(answer, dict) else answer
        if not isinstance(items, list):
            raise UnexpectedAnswerError("it is no list of exports")
        return [*map(_job, items)]

    def link(self, response: Answer) -> str:
        """Return the link to a file. Raises `UnexpectedAnswerError`."""
        answer = bodies.read(response, _decoder)
        link = _first(answer, _LINK) if isinstance(answer, dict) else answer
        if not isinstance(link, str) or not link:
            raise UnexpectedAnswerError("it has no link")
        return link

    def is_for(self, job: Job, window: Window) -> bool:
        """Return whether the list shows that a job is for `window` and has these filters.

        Another program's job may be for the same range; a second job costs less than somebody else's rows.
        """
        bounds = ((job.start, window.start), (job.end, window.end))
        is_range = all(shown is not None and abs(shown - asked) <= _NEAR for shown, asked in bounds)
        return is_range and job.is_of_messages and job.filters == self.filters

    def _job_url(self, job_id: str) -> str:
        return f"{self.base_url}/partner-gateway/v1/exports/{quote(job_id, safe='')}"


def _job(listed: Any) -> Job | None:
    id_ = _as_id(_first(listed, _ID)) if isinstance(listed, dict) else None
    if id_ is None:
        return None
    return Job(
        id=id_,
        state=_state(listed),
        start=_moment(_first(listed, _START)),
        end=_moment(_first(listed, _END)),
        filters=_filters(listed),
        is_of_messages=_is_of_messages(_first(listed, _KIND)),
    )


def _filters(listed: dict[str, Any]) -> dict[str, Any]:
    """Return the filters that a job is listed with, those in nested objects included."""
    found = {name: listed[name] for name in _FILTERS if listed.get(name) not in (None, "", [])}
    for value in listed.values():
        if isinstance(value, dict):
            found.update(_filters(value))
    return found


def _is_of_messages(kind: Any) -> bool:
    return kind is None or any(word in str(kind).upper() for word in ("MESSAGE", "HISTORY"))


def _state(listed: dict[str, Any]) -> State:
    status, is_available = _first(listed, _STATUS), _first(listed, _IS_AVAILABLE)
    name = "".join(filter(str.isalpha, str(status or ""))).upper()
    if not name:
        return State.READY if is_available else State.PENDING
    if name in _READY:
        return State.READY if is_available in (None, True) else State.EXPIRED
    if name in _PENDING:
        return State.READY if is_available else State.PENDING
    return State.EXPIRED if name == "EXPIRED" else State.FAILED


def _first(answer: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Return the value of the first name that there is, None if there is none."""
    return next((answer[name] for name in names if answer.get(name) is not None), None)


def _as_id(value: Any) -> str | None:
    is_id = isinstance(value, (str, int)) and not isinstance(value, bool)
    return str(value) or None if is_id else None


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
