"""Sorting exported messages on disk."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_msghistory.errors import TapError
from tap_msghistory.reading.spool import Spool, SpooledRecord


def spooled(sent_at, id_, record):
    return SpooledRecord(f"{sent_at:09d}", id_, "", str(id_).encode(), record)


def test_messages_are_sorted_in_a_private_deleted_file():
    spool = Spool()
    spool.add(spooled(number, number, bytes(1000)) for number in range(10_000))
    (file,) = (path for path in Path("/proc/self/fd").iterdir() if "etilqs" in os.path.realpath(path))
    assert os.path.realpath(file).endswith("(deleted)")
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.stat().st_size > 5_000_000
    spool.close()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.binary(max_size=2)), max_size=30))
def test_the_spool_keeps_latest_versions_in_send_order(messages):
    spool = Spool()
    spool.add(spooled(*message) for message in messages)
    spool.finish()
    latest = {id_: spooled(sent_at, id_, record) for sent_at, id_, record in messages}
    assert list(spool.messages()) == sorted(latest.values())
    spool.close()


def test_a_full_disk_is_an_error_that_names_tmpdir():
    spool = Spool()
    with file_size_limit(1_000_000), pytest.raises(TapError, match="TMPDIR"):
        spool.add(spooled(number, number, bytes(1000)) for number in range(10_000))
    spool.close()


@contextmanager
def file_size_limit(size):
    """Let writes beyond `size` bytes of a file fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
