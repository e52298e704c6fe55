"""The emulated exports of the partner gateway, statement by statement of the vendor's documentation."""

from __future__ import annotations

import csv

import pytest
import requests

from msghistory_sandbox import Message
from msghistory_sandbox.export import LIST_PATH, QUEUE_PATH
from tests.support import END, END_MS, iso

KEY = {"X-Api-Key": "sandbox-gateway-key"}
RANGE = {"startDateTime": iso(END), "endDateTime": iso(END)}


def queue(sandbox, body=RANGE, headers=KEY):
    return requests.post(f"{sandbox.url}{QUEUE_PATH}", json=body, headers=headers, timeout=5)


def jobs(sandbox, **params):
    return requests.get(f"{sandbox.url}{LIST_PATH}", params=params, headers=KEY, timeout=5).json()


def job(sandbox, id_, method="GET"):
    return requests.request(method, f"{sandbox.url}{LIST_PATH}/{id_}", headers=KEY, timeout=5)


def complete(sandbox):
    """Poll the list until a new job is completed: by default it is listed as pending once."""
    jobs(sandbox)
    jobs(sandbox)


def completed_link(sandbox):
    """Queue a job, complete it, and return its download link."""
    id_ = queue(sandbox).json()["exportId"]
    complete(sandbox)
    return job(sandbox, id_).json()["downloadUrl"]


def test_job_is_listed_as_pending_and_then_as_completed(sandbox):
    response = queue(sandbox)
    assert response.status_code == 202
    (listed,) = jobs(sandbox)
    assert (listed["exportId"], listed["status"]) == (response.json()["exportId"], "PENDING")
    assert listed["isAvailableForDownload"] is False
    assert "downloadUrl" not in job(sandbox, listed["exportId"]).json()
    (listed,) = jobs(sandbox)
    assert (listed["status"], listed["isAvailableForDownload"]) == ("COMPLETED", True)


def test_jobs_are_listed_newest_first_ten_per_page(sandbox):
    ids = [queue(sandbox).json()["exportId"] for _ in range(12)]
    assert [listed["exportId"] for listed in jobs(sandbox)] == ids[:1:-1]
    assert [listed["exportId"] for listed in jobs(sandbox, page=1)] == ids[1::-1]
    assert [listed["exportId"] for listed in jobs(sandbox, page=2, limit=5)] == ids[1::-1]


@pytest.mark.parametrize("body", [{}, {"startDateTime": iso(END)}, RANGE | {"endDateTime": "2024-01-01"}])
def test_malformed_body_is_400(sandbox, body):
    assert queue(sandbox, body).status_code == 400
    assert jobs(sandbox) == []


def test_exports_share_credentials_and_rate_limit_with_the_history(sandbox):
    assert queue(sandbox, headers={}).status_code == 401
    sandbox.gateway_options.requests_per_second = 1
    assert [queue(sandbox).status_code for _ in range(2)] == [202, 429]


def test_file_has_all_channels_and_both_bounds_of_the_range(sandbox):
    for channel, age in (("SMS", 0), ("RCS", 0), ("WHATSAPP", 1)):
        sandbox.gateway[channel].add(Message(id=f"{channel} {age}", sent_ms=END_MS - age, channel=channel))
    rows = list(csv.DictReader(requests.get(completed_link(sandbox), timeout=5).text.splitlines()))
    assert {row["Message ID"] for row in rows} == {"SMS 0", "RCS 0"}


def test_link_leads_to_another_host_and_is_valid_once(sandbox):
    """Like the link of a storage service, it also rejects requests that have an API key."""
    link = completed_link(sandbox)
    assert not link.startswith(sandbox.url)
    assert requests.get(link, headers=KEY, timeout=5).status_code == 400
    assert [requests.get(link, timeout=5).status_code for _ in range(2)] == [200, 403]


def test_expired_job_is_400_until_it_is_renewed(sandbox):
    id_ = queue(sandbox).json()["exportId"]
    complete(sandbox)
    sandbox.export_options.expire_next = 1
    assert [job(sandbox, id_).status_code for _ in range(2)] == [400, 400]
    assert job(sandbox, id_, "POST").status_code == 202
    assert [jobs(sandbox)[0]["status"] for _ in range(2)] == ["PENDING", "COMPLETED"]


def test_unknown_job_is_404(sandbox):
    assert job(sandbox, "unknown").status_code == job(sandbox, "unknown", "POST").status_code == 404
