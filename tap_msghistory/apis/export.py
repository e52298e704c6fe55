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

from tap_msghistory.apis import bodies
from tap_msghistory.apis.base import Request
from tap_msghistory.errors import UnexpectedAnswerError
from tap_msghistory.retries import Answer
from tap_msghistory.timestamps import MILLISECOND, to_text
from tap_msghistory.windows import Window

_ID = ("id", "exportId", "jobId", "reference")
_LINK = ("url", "downloadUrl", "link", "downloadLink")
_LIST = ("exports", "content", "items")
_STATUS = ("status", "state")
_IS_AVAILABLE = ("isAvailableForDownload", "availableForDownload")
_START = ("startDateTime", "from")
_END = ("endDateTime", "to")

#: What is documented as the page size when none is asked for, so that no server cuts it short.
_JOBS_A_PAGE = 10
#: A listed time may be cut to whole seconds.
_NEAR = timedelta(seconds=1)
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


class State(Enum):
    """What has become of a job."""

    PENDING = "pending"
    READY = "ready"  #: its file can be downloaded
    FAILED = "failed"
    EXPIRED = "expired"  #: its file is gone, and can be made anew


_STATES = {
    "COMPLETED": State.READY,
    "FAILED": State.FAILED,
    "ERROR": State.FAILED,
    "EXPIRED": State.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Job:
    """A job, as the list of jobs shows it; None where it does not say."""

    id: str
    state: State
    start: datetime | None
    end: datetime | None
    filters: Mapping[str, str | None]


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
        """Ask for a page of the jobs, newest first."""
        url = f"{self.base_url}/partner-gateway/v1/exports"
        return Request("GET", url, params={"page": page, "limit": _JOBS_A_PAGE})

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

    def jobs(self, response: Answer) -> list[Job]:
        """Return a page of jobs. Raises `UnexpectedAnswerError`."""
        answer = bodies.read(response, _decoder)
        items = _first(answer, _LIST) if isinstance(answer, dict) else answer
        if not isinstance(items, list):
            raise UnexpectedAnswerError("it is no list of exports")
        return [_job(it) for it in items]

    def is_last_page(self, jobs: list[Job]) -> bool:
        """Return whether no further page follows."""
        return len(jobs) < _JOBS_A_PAGE

    def link(self, response: Answer) -> str:
        """Return the link to a file. Raises `UnexpectedAnswerError`."""
        answer = bodies.read(response, _decoder)
        link = _first(answer, _LINK) if isinstance(answer, dict) else answer
        if not isinstance(link, str) or not link:
            raise UnexpectedAnswerError("it has no link")
        return link

    def may_be(self, job: Job, window: Window) -> bool:
        """Return whether nothing that is listed of `job` speaks against its being the one for `window`."""
        listed = ((job.start, window.start), (job.end, window.end))
        return all(shown is None or abs(shown - asked) <= _NEAR for shown, asked in listed) and all(
            shown in (None, self.filters.get(name)) for name, shown in job.filters.items()
        )

    def _job_url(self, job_id: str) -> str:
        return f"{self.base_url}/partner-gateway/v1/exports/{quote(job_id, safe='')}"


def _job(listed: Any) -> Job:
    id_ = _as_id(_first(listed, _ID)) if isinstance(listed, dict) else None
    if id_ is None:
        raise UnexpectedAnswerError("it lists an export without an identifier")
    return Job(
        id=id_,
        state=_state(listed),
        start=_moment(_first(listed, _START)),
        end=_moment(_first(listed, _END)),
        filters={name: _first(listed, (name,)) for name in ("sender", "recipient")},
    )


def _state(listed: dict[str, Any]) -> State:
    state = _STATES.get(str(_first(listed, _STATUS)).upper(), State.PENDING)
    if state in (State.FAILED, State.EXPIRED):
        return state
    is_available = _first(listed, _IS_AVAILABLE)
    if is_available is None:
        return state
    return State.READY if is_available else State.PENDING


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
