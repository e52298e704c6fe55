"""Downloads of export files: complete, without credentials, and in bounded memory."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from typing import get_args

import pytest

from msghistory_sandbox.clock import Clock
from msghistory_sandbox.export import DOWNLOAD_PATH
from msghistory_sandbox.faults import Faults
from msghistory_sandbox.options import Break
from msghistory_sandbox.server import Sandbox
from tap_msghistory.errors import ApiError
from tap_msghistory.stats import WindowStats
from tap_msghistory.vendors.partner_gateway_export.download import Downloader
from tests.exports import WINDOWS, all_messages, export, failing_export, queue_requests, requests_to
from tests.support import (
    END,
    END_MS,
    EXPORT,
    ROOT,
    config,
    iso,
    selecting,
)

#: All faults except a malformed row, which is rejected alone.
BROKEN = [how for how in get_args(Break) if how != "row"]
MEMORY_MB = 150
#: Rows of the file; each takes more than 1 kB of memory as an object.
ROWS = 400_000


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_download_is_repeated_with_a_new_link(export_sandbox, how):
    export_sandbox.export_options.break_next, export_sandbox.export_options.break_how = 3, how
    assert export(export_sandbox).records(EXPORT) == all_messages(export_sandbox)
    assert len(queue_requests(export_sandbox)) == WINDOWS
    downloads = requests_to(export_sandbox, "GET", DOWNLOAD_PATH)
    assert len(downloads) == WINDOWS + 3
    assert len({request.params["signature"] for request in downloads}) == WINDOWS + 3


@pytest.mark.parametrize("how", BROKEN)
def test_an_always_broken_download_fails_and_emits_nothing(export_sandbox, how):
    export_sandbox.export_options.break_next, export_sandbox.export_options.break_how = 99, how
    output, error = failing_export(export_sandbox, export_concurrency=1)
    assert f"{iso(END - timedelta(days=90))} to {iso(END - timedelta(days=60))}" in str(error)
    assert output.records(EXPORT) == []
    assert output.bookmark(EXPORT) == {}
    assert len(requests_to(export_sandbox, "GET", DOWNLOAD_PATH)) == 5


def test_faults_anywhere_in_an_export_lose_and_repeat_nothing(export_sandbox):
    export_sandbox.faults = Faults(
        error_rate=0.05, drop_rate=0.05, truncate_rate=0.05, html_rate=0.05, malformed_rate=0.05
    )
    output = export(export_sandbox, start_date=iso(END - timedelta(days=365)))
    assert output.records(EXPORT) == all_messages(export_sandbox)
    statuses = Counter(request.status for request in export_sandbox.requests)
    assert min(statuses[500], statuses[None]) > 0, "no fault was injected"
    queued = [request.status for request in queue_requests(export_sandbox)].count(202)
    assert queued == 13, "a window was queued twice"


def test_a_download_sends_no_credentials_not_even_from_netrc(export_sandbox, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login user password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert export(export_sandbox).records(EXPORT) == all_messages(export_sandbox)
    downloads = requests_to(export_sandbox, "GET", DOWNLOAD_PATH)
    assert [request.credentials for request in downloads] == [False] * WINDOWS
    assert all(request.credentials for request in export_sandbox.requests if request not in downloads)


@pytest.mark.parametrize("link", ["http://example.com/file.csv", "ftp://127.0.0.1/file.csv", "/file.csv", ""])
def test_a_link_without_tls_is_followed_on_loopback_only(link):
    with pytest.raises(ApiError, match="https"):
        next(Downloader(timeout=5).chunks(link, WindowStats()))


def test_signed_links_are_never_logged(export_sandbox, caplog):
    export_sandbox.export_options.break_next = 2
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("urllib3").setLevel(logging.DEBUG)
        export(export_sandbox)
        export_sandbox.export_options.break_next = 99
        _, error = failing_export(export_sandbox)
    assert "/partner-gateway/v1/exports" in caplog.text, "urllib3 logs nothing, so the test is void"
    reported = f"{caplog.text} {error}"
    assert "signature" not in reported
    for request in requests_to(export_sandbox, "GET", DOWNLOAD_PATH):
        assert request.params["signature"] not in reported


def test_memory_does_not_grow_with_the_file():
    sandbox = Sandbox(clock=Clock(END_MS, frozen=True))
    sandbox.export_options.rows = ROWS
    with sandbox.serve():
        given = {
            "config": config(
                sandbox,
                edna_api_key=None,
                partner_gateway_export=True,
                start_date=iso(END - timedelta(days=20)),
            ),
            "catalog": selecting(EXPORT),
        }
        lines: Counter[bytes] = Counter()
        with subprocess.Popen(
            [sys.executable, "-m", "tests.impatient"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdin
            assert process.stdout
            assert process.stderr
            process.stdin.write(json.dumps(given).encode())
            process.stdin.close()
            for line in process.stdout:
                lines[line[:16]] += 1
            memory = int(process.stderr.read().splitlines()[-1])
    assert lines[b'{"type":"RECORD"'] == ROWS
    assert memory < MEMORY_MB * 1024
