"""Export jobs: each window is queued once, whatever the gateway responds."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from itertools import islice

import pytest
import requests

from msghistory_sandbox.export import LIST_PATH, QUEUE_PATH
from tap_msghistory.errors import ApiError
from tap_msghistory.planning.windows import Reason, Window
from tap_msghistory.stats import WindowStats
from tap_msghistory.streams import PartnerGatewayExportStream
from tap_msghistory.tap import TapMessageHistory
from tap_msghistory.vendors.partner_gateway_export import PartnerGatewayExportSource
from tap_msghistory.vendors.partner_gateway_export.jobs import POLL_SCHEDULE
from tests.exports import WINDOWS, all_messages, export, failing_export, queue_requests, requests_to
from tests.impatient import ImpatientTap
from tests.support import (
    END,
    END_MS,
    EXPORT,
    config,
    iso,
)

WINDOW = Window(END - timedelta(days=30), END, Reason.NEW)


@pytest.fixture
def jobs(sandbox):
    """Export jobs with a timeout of a millisecond."""
    return jobs_of(ImpatientTap(config=config(sandbox, partner_gateway_export=True, export_timeout=0.001)))


def jobs_of(tap):
    stream = tap.streams[EXPORT]
    assert isinstance(stream, PartnerGatewayExportStream)
    assert isinstance(stream.source, PartnerGatewayExportSource)
    return stream.source.jobs


@pytest.mark.parametrize("unclear", ["reset", "error", "unreadable"])
@pytest.mark.parametrize("hide_range", [False, True])
def test_an_ambiguous_queue_request_is_not_repeated_if_listed(export_sandbox, unclear, hide_range):
    options = export_sandbox.export_options
    options.unclear_next, options.unclear, options.hide_range = 2, unclear, hide_range
    assert export(export_sandbox).records(EXPORT) == all_messages(export_sandbox)
    # A job that is listed without a range may belong to another program.
    assert len(queue_requests(export_sandbox)) == WINDOWS + 2 * hide_range
    assert options.unclear_next == 0


@pytest.mark.parametrize("unclear", ["reset", "error", "unreadable"])
@pytest.mark.parametrize("others", [15, 250])
def test_a_job_is_found_in_a_long_oldest_first_list(export_sandbox, unclear, others):
    """In a list too long to search for a job without an id, a second job is cheaper than an error."""
    options = export_sandbox.export_options
    options.oldest_first, options.unclear_next, options.unclear, options.others = True, 1, unclear, others
    options.polls = 3
    assert export(export_sandbox, export_concurrency=1).records(EXPORT) == all_messages(export_sandbox)
    assert len(queue_requests(export_sandbox)) == WINDOWS + (others > 200)
    assert len(requests_to(export_sandbox, "GET", LIST_PATH)) < 400


@pytest.mark.parametrize("unclear", ["reset", "error", "unreadable"])
def test_an_ambiguous_queue_request_is_repeated_if_not_listed(export_sandbox, unclear):
    export(export_sandbox)  # older jobs for the same windows, which must not be used
    message = next(iter(export_sandbox.gateway["SMS"]))
    export_sandbox.gateway["SMS"].set_status(message.id, "EXPIRED", END_MS - 1)
    options = export_sandbox.export_options
    options.unclear_next, options.unclear, options.unclear_lost = 2, unclear, True
    assert export(export_sandbox).records(EXPORT) == all_messages(export_sandbox)
    assert len(queue_requests(export_sandbox)) == WINDOWS + 2 + WINDOWS


def test_repeated_ambiguous_queue_requests_fail_and_name_the_window(export_sandbox):
    export_sandbox.export_options.unclear_next, export_sandbox.export_options.unclear_lost = 99, True
    _, error = failing_export(export_sandbox)
    assert f"{iso(END - timedelta(days=90))} to {iso(END - timedelta(days=60))}" in str(error)
    assert len(queue_requests(export_sandbox)) == 5


def test_a_queue_request_with_a_429_is_repeated(export_sandbox):
    def limit(request):
        if request.path == QUEUE_PATH and len(queue_requests(export_sandbox)) == 1:
            export_sandbox.faults.limit_next = 1

    export_sandbox.faults.retry_after = "none"
    export_sandbox.journal.watch = limit
    assert export(export_sandbox).records(EXPORT) == all_messages(export_sandbox)
    assert Counter(request.status for request in queue_requests(export_sandbox)) == {429: 1, 202: WINDOWS}
    assert [request.path for request in export_sandbox.requests[:3]] == [LIST_PATH, QUEUE_PATH, QUEUE_PATH]


def test_a_rejected_key_fails_after_one_request(export_sandbox):
    _, error = failing_export(export_sandbox, partner_gateway_api_key="wrong")
    assert "partner_gateway_api_key" in str(error)
    assert len(export_sandbox.requests) == 1


def test_a_slow_job_may_be_missing_from_the_list(export_sandbox):
    options = export_sandbox.export_options
    options.polls, options.lag, options.seconds = 5, 3, 60
    export_sandbox.journal.watch = lambda _: export_sandbox.clock.advance(10)
    output = export(export_sandbox)
    assert output.records(EXPORT) == all_messages(export_sandbox)
    assert len(queue_requests(export_sandbox)) == WINDOWS


def test_a_job_is_found_on_a_later_page(sandbox, jobs):
    body = {"startDateTime": iso(END), "endDateTime": iso(END)}
    url = f"{sandbox.url}{QUEUE_PATH}"
    key = {"X-Api-Key": sandbox.gateway_options.key}

    def queue_others():
        for _ in range(25):
            assert requests.post(url, json=body, headers=key, timeout=5).status_code == 202

    sandbox.export_options.polls = 0
    assert jobs.run(WINDOW, queue_others, WindowStats()) == "export-1"
    assert {request.params["page"] for request in requests_to(sandbox, "GET", LIST_PATH)} == {"0", "1", "2"}


@pytest.mark.parametrize("hide_range", [False, True])
def test_a_job_of_another_program_is_not_used(sandbox, hide_range):
    options = sandbox.export_options
    options.hide_range, options.polls = hide_range, 0
    options.unclear_next, options.unclear, options.others = 1, "error", 1
    jobs = jobs_of(ImpatientTap(config=config(sandbox, partner_gateway_export=True)))
    taken = jobs.run(WINDOW, lambda: None, WindowStats())
    # export-1 belongs to the other program. Only a range shows that export-2 belongs to the tap.
    assert taken == ("export-3" if hide_range else "export-2")


def test_a_job_beyond_export_timeout_fails_and_names_the_window(sandbox, jobs):
    sandbox.export_options.polls = 10**6
    with pytest.raises(ApiError, match="export_timeout") as caught:
        jobs.run(WINDOW, lambda: None, WindowStats())
    assert f"{iso(WINDOW.start)} to {iso(WINDOW.end)}" in str(caught.value)


def test_cancellation_ends_a_wait_for_a_job(sandbox):
    patient = jobs_of(TapMessageHistory(config=config(sandbox, partner_gateway_export=True)))
    stats = WindowStats()
    with pytest.raises(ApiError, match="stopped"):
        patient.run(WINDOW, stats.cancelled.set, stats)


def test_polls_are_5_to_30_seconds_apart():
    pauses = list(islice(POLL_SCHEDULE.pauses(), 20))
    assert pauses[0] == 5
    assert pauses == sorted(pauses)
    assert pauses[-1] == 30


def test_a_failed_job_is_queued_once_more(export_sandbox):
    export_sandbox.export_options.fail_next = 1
    assert export(export_sandbox).records(EXPORT) == all_messages(export_sandbox)
    assert len(queue_requests(export_sandbox)) == WINDOWS + 1


def test_a_job_that_fails_twice_names_the_window(export_sandbox):
    export_sandbox.export_options.fail_next = 2
    output, error = failing_export(export_sandbox, export_concurrency=1)
    assert f"{iso(END - timedelta(days=90))} to {iso(END - timedelta(days=60))}" in str(error)
    assert output.records(EXPORT) == []
    assert len(queue_requests(export_sandbox)) == 2


@pytest.mark.parametrize("fault", ["expire_next", "expire_listed_next"])
def test_an_expired_file_is_renewed(export_sandbox, fault):
    setattr(export_sandbox.export_options, fault, 2)
    assert export(export_sandbox).records(EXPORT) == all_messages(export_sandbox)
    assert len(queue_requests(export_sandbox)) == WINDOWS
    assert len(requests_to(export_sandbox, "POST", LIST_PATH)) == 2


@pytest.mark.parametrize("fault", ["expire_next", "expire_listed_next"])
def test_a_repeatedly_expired_file_fails_and_names_the_window(export_sandbox, fault):
    setattr(export_sandbox.export_options, fault, 99)
    _, error = failing_export(export_sandbox, export_concurrency=1)
    assert f"{iso(END - timedelta(days=90))} to " in str(error)
    assert len(requests_to(export_sandbox, "POST", LIST_PATH)) == 5
