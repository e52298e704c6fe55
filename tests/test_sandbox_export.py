"""What the sandbox promises of exports: the gateway's pages, line by line."""

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


def ready(sandbox):
    """The link of a new job's file."""
    id_ = queue(sandbox).json()["exportId"]
    jobs(sandbox)
    jobs(sandbox)
    return job(sandbox, id_).json()["downloadUrl"]


def test_a_job_is_queued_at_once_and_then_listed_as_pending_and_completed(sandbox):
    answer = queue(sandbox)
    assert answer.status_code == 202
    (listed,) = jobs(sandbox)
    assert (listed["exportId"], listed["status"]) == (answer.json()["exportId"], "PENDING")
    assert listed["isAvailableForDownload"] is False
    assert "downloadUrl" not in job(sandbox, listed["exportId"]).json()
    (listed,) = jobs(sandbox)
    assert (listed["status"], listed["isAvailableForDownload"]) == ("COMPLETED", True)


def test_jobs_are_listed_newest_first_ten_a_page(sandbox):
    ids = [queue(sandbox).json()["exportId"] for _ in range(12)]
    assert [it["exportId"] for it in jobs(sandbox)] == ids[:1:-1]
    assert [it["exportId"] for it in jobs(sandbox, page=1)] == ids[1::-1]
    assert [it["exportId"] for it in jobs(sandbox, page=2, limit=5)] == ids[1::-1]


@pytest.mark.parametrize("body", [{}, {"startDateTime": iso(END)}, RANGE | {"endDateTime": "2024-01-01"}])
def test_a_malformed_body_is_a_400(sandbox, body):
    assert queue(sandbox, body).status_code == 400
    assert jobs(sandbox) == []


def test_credentials_and_the_accounts_rate_limit_are_the_historys(sandbox):
    assert queue(sandbox, headers={}).status_code == 401
    sandbox.gateway_options.requests_per_second = 1
    assert [queue(sandbox).status_code for _ in range(2)] == [202, 429]


def test_a_file_has_the_messages_of_all_channels_within_the_range_both_ends_included(sandbox):
    for channel, age in (("SMS", 0), ("RCS", 0), ("WHATSAPP", 1)):
        sandbox.gateway[channel].add(Message(id=f"{channel} {age}", sent_ms=END_MS - age, channel=channel))
    rows = list(csv.DictReader(requests.get(ready(sandbox), timeout=5).text.splitlines()))
    assert {it["Message ID"] for it in rows} == {"SMS 0", "RCS 0"}


def test_a_link_is_another_hosts_wants_no_key_and_is_good_once(sandbox):
    link = ready(sandbox)
    assert not link.startswith(sandbox.url)
    assert requests.get(link, headers=KEY, timeout=5).status_code == 400
    assert [requests.get(link, timeout=5).status_code for _ in range(2)] == [200, 403]


def test_an_expired_job_is_made_anew_and_an_unknown_one_is_a_404(sandbox):
    id_ = queue(sandbox).json()["exportId"]
    jobs(sandbox)
    jobs(sandbox)
    sandbox.export_options.expire_next = 1
    assert [job(sandbox, id_).status_code for _ in range(2)] == [400, 400]
    assert job(sandbox, id_, "POST").status_code == 202
    assert [jobs(sandbox)[0]["status"] for _ in range(2)] == ["PENDING", "COMPLETED"]
    assert job(sandbox, "unknown").status_code == job(sandbox, "unknown", "POST").status_code == 404
