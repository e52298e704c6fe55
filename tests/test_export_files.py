"""CSV files and undocumented JSON, however they are spelt. Pure: without a server."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tap_msghistory.apis.export import PartnerGatewayExport, State
from tap_msghistory.errors import UnexpectedAnswerError
from tap_msghistory.exports.csv_rows import CsvRows
from tap_msghistory.histories import ExportedMessages
from tap_msghistory.retries import Answer
from tap_msghistory.windows import Reason, Window
from tests.support import END, iso

ROWS = CsvRows(ExportedMessages.schema, needed=[{"messageId", "customerMessageId"}, {"sendDate"}])
API = PartnerGatewayExport("https://example.com/api", {"sender": "Shop"})
WINDOW = Window(END - timedelta(days=30), END, Reason.NEW)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


def read(file, *, cuts=()):
    """Read a file that comes in chunks, cut at these places."""
    file = file.encode() if isinstance(file, str) else file
    places = [0, *sorted(cuts), len(file)]
    return list(ROWS.read(file[start:end] for start, end in pairwise(places)))


def written(rows, *, separator=",", end="\n"):
    file = io.StringIO()
    csv.writer(file, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    return file.getvalue().encode()


@given(
    st.lists(st.lists(texts, min_size=4, max_size=4), max_size=5),
    st.sampled_from([",", ";"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.data(),
)
def test_any_text_comes_as_it_was_written_wherever_the_network_cuts(rows, separator, end, bom, data):
    header = ["messageId", "sendDate", "body", "whatever"]
    file = b"\xef\xbb\xbf" * bom + written([header, *rows], separator=separator, end=end)
    cuts = data.draw(st.lists(st.integers(0, len(file)), max_size=8))
    expected = [{name: cell for name, cell in zip(header, row, strict=True) if cell} for row in rows]
    assert read(file, cuts=cuts) == expected


@given(st.lists(st.lists(texts, min_size=3, max_size=3), max_size=4), st.data())
def test_a_file_that_ends_early_is_an_error_unless_it_ends_behind_a_row(rows, data):
    rows = [["Message ID", "Send date", "Body"], *rows]
    file = written(rows)
    end = data.draw(st.integers(0, len(file)))
    row_ends = {len(written(rows[:count])): count for count in range(1, len(rows) + 1)}
    if end in row_ends:
        assert len(read(file[:end])) == row_ends[end] - 1
    else:
        with pytest.raises(UnexpectedAnswerError):
            read(file[:end])


@pytest.mark.parametrize(
    "row", ["1", "1,2024-01-01T00:00:00Z,text,more", '1,2024-01-01T00:00:00Z,"a" b', "1,x,a\rb"]
)
def test_a_row_with_other_columns_than_the_header_is_an_error(row):
    with pytest.raises(UnexpectedAnswerError, match="line 3"):
        read(f"messageId,sendDate,body\n1,2024-01-01T00:00:00Z,text\n{row}\n")


@pytest.mark.parametrize(
    "file",
    ["", "\n", "<html>\n<body>Sorry</body>\n</html>\n", '{"result": "ok"}\n', "messageId\n1\n", "a,b\n"],
)
def test_what_is_no_file_of_messages_is_an_error(file):
    with pytest.raises(UnexpectedAnswerError):
        read(file)


@pytest.mark.parametrize(
    "header",
    ["Message ID", "message_id", "MESSAGE-ID", "messageid", " messageId ", "message.id", "MessageID"],
)
def test_columns_are_known_by_name_whatever_case_spaces_and_separators(header):
    assert read(f"{header};SEND DATE\n7;2024-01-01\n") == [{"messageId": "7", "sendDate": "2024-01-01"}]


def test_columns_that_the_schema_does_not_know_keep_their_names_and_two_of_one_name_are_kept_apart():
    file = "messageId,sendDate,Batch No.,Status,status,Batch No.,\n1,2,3,4,5,6,7\n"
    assert read(file) == [
        {"messageId": "1", "sendDate": "2", "Batch No.": "3", "status": "4", "status 4": "5"}
        | {"Batch No. 5": "6", "": "7"}
    ]


@pytest.mark.parametrize(
    ("separator", "cost", "parts", "expected"),
    [
        (",", "0.045", "2", (0.045, 2)),
        (",", "-1", "+3", (-1.0, 3)),
        (",", "3.10", "2.0", (3.1, 2)),
        (",", '"0,045"', "two", ("0,045", "two")),
        (";", "0,045", "2", (0.045, 2)),
        (";", "1.234,5", "1.5", ("1.234,5", "1.5")),
        (",", "0.12345678901234567890", "1e3", ("0.12345678901234567890", "1e3")),
        (",", "nan", "1_000", ("nan", "1_000")),
    ],
)
def test_numbers_are_numbers_where_nothing_of_the_text_is_lost(separator, cost, parts, expected):
    header = separator.join(["messageId", "sendDate", "Cost", "Parts"])
    (row,) = read(f"{header}\n{separator.join(['1', '2', cost, parts])}\n")
    assert (row["cost"], row["parts"]) == expected
    assert tuple(map(type, (row["cost"], row["parts"]))) == tuple(map(type, expected))


# The gateway's pages describe these answers, but show none.


@pytest.mark.parametrize(
    "answer", [{"id": "7"}, {"exportId": "7"}, {"jobId": 7}, {"reference": "7", "id": None}, "7", 7]
)
def test_a_jobs_id_is_read_however_it_is_called(answer):
    assert API.queued_id(Answer(200, {}, json.dumps(answer).encode())) == "7"


@pytest.mark.parametrize(
    "answer", [b"", b"{}", b"[]", b"OK", b"<html>", b"null", b"true", b'""', b'{"id": {}}']
)
def test_an_answer_without_an_id_is_not_readable(answer):
    with pytest.raises(UnexpectedAnswerError):
        API.queued_id(Answer(200, {}, answer))


@pytest.mark.parametrize(
    ("listed", "state"),
    [
        ({"status": "PENDING"}, State.PENDING),
        ({"status": "in_progress"}, State.PENDING),
        ({"status": "WHATEVER", "isAvailableForDownload": False}, State.PENDING),
        ({"status": "COMPLETED"}, State.READY),
        ({"status": "completed", "isAvailableForDownload": True}, State.READY),
        ({"status": "COMPLETED", "isAvailableForDownload": False}, State.PENDING),
        ({"isAvailableForDownload": True}, State.READY),
        ({"status": "Failed", "isAvailableForDownload": True}, State.FAILED),
        ({"status": "EXPIRED"}, State.EXPIRED),
    ],
)
@pytest.mark.parametrize("around", [None, "exports", "content", "items"])
def test_a_jobs_state_is_read_however_the_list_is_wrapped(listed, state, around):
    jobs = [{"id": "7", **listed}]
    (job,) = API.jobs(Answer(200, {}, json.dumps({around: jobs} if around else jobs).encode()))
    assert (job.id, job.state) == ("7", state)


@pytest.mark.parametrize("answer", [b"{}", b'"text"', b"[7]", b'[{"status": "COMPLETED"}]', b"<html>"])
def test_what_is_no_list_of_jobs_is_not_readable(answer):
    with pytest.raises(UnexpectedAnswerError):
        API.jobs(Answer(200, {}, answer))


@pytest.mark.parametrize(
    ("listed", "may_be"),
    [
        ({}, True),
        ({"startDateTime": iso(WINDOW.start), "endDateTime": iso(WINDOW.end)}, True),
        ({"startDateTime": iso(WINDOW.start)[:19] + "Z"}, True),
        ({"startDateTime": "2024-10-04T14:00:00+02:00"}, True),
        ({"startDateTime": iso(WINDOW.start + timedelta(seconds=2))}, False),
        ({"startDateTime": iso(WINDOW.start), "endDateTime": iso(END - timedelta(days=1))}, False),
        ({"startDateTime": "2024-10-04T14:00:00"}, True),
        ({"sender": "Shop", "recipient": None}, True),
        ({"sender": "Bank"}, False),
        ({"recipient": "39"}, False),
    ],
)
def test_a_job_of_another_range_or_filter_is_not_taken_for_ones_own(listed, may_be):
    (job,) = API.jobs(Answer(200, {}, msgspec.json.encode([{"id": 7, **listed}])))
    assert API.may_be(job, WINDOW) is may_be


@pytest.mark.parametrize("answer", [{"url": "L"}, {"downloadUrl": "L"}, {"link": "L", "url": None}, "L"])
def test_a_link_is_read_however_it_is_called(answer):
    assert API.link(Answer(200, {}, json.dumps(answer).encode())) == "L"


@pytest.mark.parametrize("answer", [b"{}", b"[]", b'""', b'{"url": 7}', b"<html>"])
def test_an_answer_without_a_link_is_not_readable(answer):
    with pytest.raises(UnexpectedAnswerError):
        API.link(Answer(200, {}, answer))


def test_an_id_cannot_lead_to_another_path():
    assert API.link_request("../x?y").url == "https://example.com/api/partner-gateway/v1/exports/..%2Fx%3Fy"
