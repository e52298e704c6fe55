"""Export files in any CSV dialect, and undocumented JSON responses. Without a server."""

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

from tap_msghistory.errors import UnexpectedResponseError
from tap_msghistory.planning.windows import Reason, Window
from tap_msghistory.reading.records import Rejected
from tap_msghistory.stats import WindowStats
from tap_msghistory.vendors.partner_gateway_export import PartnerGatewayExportSource
from tap_msghistory.vendors.partner_gateway_export.csv_rows import CsvParser
from tap_msghistory.vendors.partner_gateway_export.endpoint import JobState, PartnerGatewayExportEndpoint
from tests.support import END, iso, response

ROWS = CsvParser(
    PartnerGatewayExportSource.schema, required=[{"messageId", "customerMessageId"}, {"sendDate"}]
)
API = PartnerGatewayExportEndpoint("https://example.com/api", {"sender": "Shop"})
WINDOW = Window(END - timedelta(days=30), END, Reason.NEW)

words = st.text("aé ,;\"'\n", max_size=8).map("x".__add__) | st.just("")
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


def read(file, *, cuts=()):
    """Read a file in chunks that end at `cuts`."""
    file = file.encode() if isinstance(file, str) else file
    bounds = [0, *sorted(cuts), len(file)]
    return list(ROWS.read(file[start:end] for start, end in pairwise(bounds)))


def written(rows, *, separator=",", end="\n"):
    file = io.StringIO()
    csv.writer(file, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    return file.getvalue().encode()


@given(
    st.lists(st.tuples(words, words, words, texts), max_size=5),
    st.sampled_from([",", ";"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.data(),
)
def test_any_text_is_read_unchanged_whatever_the_chunks(rows, separator, end, bom, data):
    header = ["messageId", "sendDate", "whatever", "body"]
    file = b"\xef\xbb\xbf" * bom + written([header, *rows], separator=separator, end=end)
    cuts = data.draw(st.lists(st.integers(0, len(file)), max_size=8))
    expected = [{name: cell for name, cell in zip(header, row, strict=True) if cell} for row in rows]
    assert read(file, cuts=cuts) == expected


@given(st.lists(st.lists(texts, min_size=3, max_size=3), max_size=4), st.data())
def test_a_truncated_file_is_an_error_unless_cut_between_rows(rows, data):
    rows = [["Message ID", "Send date", "Body"], *rows]
    file = written(rows)
    end = data.draw(st.integers(0, len(file)))
    row_ends = {len(written(rows[:count])): count for count in range(1, len(rows) + 1)}
    complete = max((count for at, count in row_ends.items() if at <= end), default=0)
    try:
        found = read(file[:end])
    except UnexpectedResponseError:
        assert end not in row_ends
    else:
        assert found[: complete - 1] == read(written(rows[:complete]))
        assert len(found) <= max(complete, 0)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_last_row_needs_no_line_break(end):
    assert read(f"messageId,sendDate\n1,2024\n2,2025{end}")[1] == {"messageId": "2", "sendDate": "2025"}


@pytest.mark.parametrize("cut", ["2", '2,"20', '2,2025,"a ""'])
def test_a_file_cut_within_a_row_is_an_error(cut):
    with pytest.raises(UnexpectedResponseError, match="ends within a row"):
        read(f"messageId,sendDate,body\n1,2024,a\n{cut}")


@pytest.mark.parametrize(
    "row", ["1", "1,2024-01-01T00:00:00Z,text,more", '1,2024-01-01T00:00:00Z,"a" b', "1,x,a\rb"]
)
def test_a_row_of_another_length_is_rejected_alone(row):
    first, rejected, last = read(f"messageId,sendDate,body\n1,2024,text\n{row}\n3,2025,text\n")
    assert (first["messageId"], last["messageId"]) == ("1", "3")
    assert isinstance(rejected, Rejected)
    assert row.split(",")[-1] in json.dumps(rejected.row).replace('\\"', '"').replace("\\r", "\r")


@pytest.mark.parametrize("file", ["", "\n", "\ufeff", " \r\n", "messageId,sendDate\n", "sep=;\n"])
def test_a_file_without_rows_is_an_empty_period(file):
    assert read(file) == []


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("line", ["sep={}\n", '"sep={}"\r\n', "\ufeffsep={}\n", ""])
def test_the_first_line_may_name_the_separator(separator, line):
    file = line.format(separator) + separator.join(["messageId", "sendDate"]) + f"\n1{separator}2024\n"
    assert read(file) == [{"messageId": "1", "sendDate": "2024"}]


def test_a_text_may_be_200_000_characters_long():
    (row,) = read("messageId,sendDate,body\n1,2024," + "x" * 200_000)
    assert len(row["body"]) == 200_000


@pytest.mark.parametrize(
    ("name", "cell", "value"),
    [
        ("destination", '"=""+39123"""', "+39123"),
        ("destination", "'+39123", "+39123"),
        ("sendDate", "\t2024", "2024"),
        ("cost", "'0.045", 0.045),
        ("messageId", '"=""007"""', "007"),
        ("messageId", "'a1b2", "a1b2"),
        ("messageId", "\ta1b2", "a1b2"),
        ("customerMessageId", "'order 7", "order 7"),
        ("body", "'tis", "'tis"),
        ("whatever", '"=""x"""', "x"),
    ],
)
def test_spreadsheet_escapes_are_removed(name, cell, value):
    cells = {"customerMessageId": "1", "sendDate": "2024", name: cell}
    (row,) = read(f"{','.join(cells)}\n{','.join(cells.values())}\n")
    assert row[name] == value


@pytest.mark.parametrize("cell", ["NULL", "null", " ", "4.2E+17", "1e5"])
def test_an_empty_or_rounded_identifier_counts_as_missing(cell):
    (row,) = read(f"messageId,customerMessageId,sendDate\n{cell},order,2024\n")
    kept = {"messageId (rounded)": cell} if "e" in cell.lower() and cell[0].isdigit() else {}
    assert row == {"customerMessageId": "order", "sendDate": "2024", **kept}


@pytest.mark.parametrize(
    ("charset", "mark"), [("windows-1252", b""), ("utf-16", b""), ("utf-16-le", b"\xff\xfe"), ("utf-8", b"")]
)
def test_a_declared_charset_or_byte_order_mark_is_used(charset, mark):
    file = mark + "messageId,sendDate,body\n1,2024,perché\n".encode(charset)
    headers = {} if mark else {"Content-Type": f'text/csv; charset="{charset}"'}
    assert [*ROWS.read([file[:3], file[3:]], headers)] == [
        {"messageId": "1", "sendDate": "2024", "body": "perché"}
    ]


def test_replaced_characters_are_counted():
    stats = WindowStats()
    rows = [*ROWS.read([b"messageId,sendDate,body\n1,2024,a\xffb\0c\n"], {}, stats)]
    assert rows == [{"messageId": "1", "sendDate": "2024", "body": "a\ufffdb\ufffdc"}]
    assert stats.replaced == 2


@pytest.mark.parametrize(
    "file",
    ["<html>\n<body>Sorry</body>\n</html>\n", '{"result": "ok"}\n', "messageId\n1\n", "a,b\n"],
)
def test_a_file_without_message_columns_is_an_error(file):
    with pytest.raises(UnexpectedResponseError):
        read(file)


@pytest.mark.parametrize(
    "header",
    ["Message ID", "message_id", "MESSAGE-ID", "messageid", " messageId ", "message.id", "MessageID"],
)
def test_column_names_may_vary_in_case_spaces_and_separators(header):
    assert read(f"{header};SEND DATE\n7;2024-01-01\n") == [{"messageId": "7", "sendDate": "2024-01-01"}]


def test_unknown_columns_keep_their_names_and_duplicates_are_numbered():
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
def test_cells_become_numbers_only_if_no_digit_is_lost(separator, cost, parts, expected):
    header = separator.join(["messageId", "sendDate", "Cost", "Parts"])
    (row,) = read(f"{header}\n{separator.join(['1', '2', cost, parts])}\n")
    assert (row["cost"], row["parts"]) == expected
    assert tuple(map(type, (row["cost"], row["parts"]))) == tuple(map(type, expected))


# The gateway's documentation describes these responses, but has no examples.


@pytest.mark.parametrize(
    "content", [{"id": "7"}, {"exportId": "7"}, {"jobId": 7}, {"reference": "7", "id": None}, "7", 7]
)
def test_a_jobs_id_may_have_several_names(content):
    assert API.queued_id(response(json.dumps(content).encode())) == "7"


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"OK", b"<html>", b"null", b"true", b'""', b'{"id": {}}']
)
def test_a_response_without_an_id_is_an_error(content):
    with pytest.raises(UnexpectedResponseError):
        API.queued_id(response(content))


@pytest.mark.parametrize(
    ("listed", "state"),
    [
        ({"status": "PENDING"}, JobState.PENDING),
        ({"status": "in_progress"}, JobState.PENDING),
        ({"status": "WHATEVER", "isAvailableForDownload": False}, JobState.FAILED),
        ({"status": "CANCELLED"}, JobState.FAILED),
        ({"status": "In progress"}, JobState.PENDING),
        ({"status": "COMPLETED"}, JobState.READY),
        ({"status": "completed", "isAvailableForDownload": True}, JobState.READY),
        ({"status": "COMPLETED", "isAvailableForDownload": False}, JobState.EXPIRED),
        ({"isAvailableForDownload": True}, JobState.READY),
        ({"status": "Failed", "isAvailableForDownload": True}, JobState.FAILED),
        ({"status": "EXPIRED"}, JobState.EXPIRED),
    ],
)
@pytest.mark.parametrize("around", [None, "exports", "content", "items"])
def test_a_jobs_state_is_read_from_any_list_format(listed, state, around):
    jobs = [{"id": "7", **listed}]
    (job,) = API.jobs(response(json.dumps({around: jobs} if around else jobs).encode()))
    assert job
    assert (job.id, job.state) == ("7", state)


@pytest.mark.parametrize("content", [b"{}", b'"text"', b"<html>"])
def test_a_response_without_a_list_of_jobs_is_an_error(content):
    with pytest.raises(UnexpectedResponseError):
        API.jobs(response(content))


def test_unreadable_jobs_are_skipped():
    assert API.jobs(response(b'[7, null, {"status": "COMPLETED"}]')) == [None, None, None]


RANGE = {"startDateTime": iso(WINDOW.start), "endDateTime": iso(WINDOW.end)}


@pytest.mark.parametrize(
    ("listed", "is_ours"),
    [
        ({}, False),
        (RANGE, False),
        ({**RANGE, "sender": "Shop"}, True),
        ({**RANGE, "sender": "Shop", "recipient": None}, True),
        ({**RANGE, "filters": {"sender": "Shop", "recipient": ""}, "type": "messages-history"}, True),
        ({**RANGE, "sender": "Shop", "type": "CAMPAIGNS"}, False),
        ({**RANGE, "sender": "Shop", "filter": {"channel": "RCS"}}, False),
        ({**RANGE, "filters": {"sender": "Bank"}}, False),
        ({**RANGE, "startDateTime": iso(WINDOW.start)[:19] + "Z", "sender": "Shop"}, True),
        ({**RANGE, "startDateTime": "2024-10-04T14:00:00+02:00", "sender": "Shop"}, True),
        ({**RANGE, "startDateTime": iso(WINDOW.start + timedelta(seconds=2)), "sender": "Shop"}, False),
        ({**RANGE, "endDateTime": iso(END - timedelta(days=1)), "sender": "Shop"}, False),
        ({**RANGE, "startDateTime": "2024-10-04T14:00:00", "sender": "Shop"}, False),
        ({**RANGE, "sender": "Bank"}, False),
        ({**RANGE, "sender": "Shop", "recipient": "39"}, False),
    ],
)
def test_a_job_must_have_the_requested_range_and_filters(listed, is_ours):
    (job,) = API.jobs(response(msgspec.json.encode([{"id": 7, **listed}])))
    assert job
    assert API.is_for(job, WINDOW) is is_ours


@pytest.mark.parametrize("content", [{"url": "L"}, {"downloadUrl": "L"}, {"link": "L", "url": None}, "L"])
def test_a_link_may_have_several_names(content):
    assert API.link(response(json.dumps(content).encode())) == "L"


@pytest.mark.parametrize("content", [b"{}", b"[]", b'""', b'{"url": 7}', b"<html>"])
def test_a_response_without_a_link_is_an_error(content):
    with pytest.raises(UnexpectedResponseError):
        API.link(response(content))


def test_a_jobs_id_is_escaped_in_the_path():
    assert API.link_request("../x?y").url == "https://example.com/api/partner-gateway/v1/exports/..%2Fx%3Fy"
