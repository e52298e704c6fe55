"""Different messages remain separate, and an unreadable row does not affect its page."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tap_msghistory.reading.layout import SHARED_KEY
from tests.support import LEDGER, REJECTED, selecting, sync
from tests.vendors import END, Vendor, edna_row, gateway_row, spread

EDNA, SMS = "edna_history", "partner_gateway_history_sms"
HOUR = timedelta(hours=1)


def read(vendor, **settings):
    is_edna = any("sentOrReceivedAt" in row for row in vendor.rows if isinstance(row, dict))
    with vendor.serve():
        return sync((vendor.settings if is_edna else vendor.gateway_settings)(**settings))


def test_incoming_and_outgoing_messages_may_share_identifiers():
    vendor = Vendor([edna_row(1, END - HOUR, direction=direction) for direction in ("IN", "OUT")])
    output = read(vendor)
    assert [(record["messageId"], record["direction"]) for record in output.records(EDNA)] == [
        (1, "IN"),
        (1, "OUT"),
    ]
    (schema,) = [
        message for message in output.messages if message["type"] == "SCHEMA" and message["stream"] == EDNA
    ]
    assert schema["key_properties"] == ["messageId", "direction"]


def test_an_old_catalog_does_not_change_the_key():
    catalog = selecting(EDNA)
    for stream in catalog["streams"]:
        stream["key_properties"] = ["messageId"]
    vendor = Vendor([edna_row(1, END - HOUR)])
    with vendor.serve():
        output = sync(vendor.settings(), catalog=catalog)
    (schema,) = [
        message for message in output.messages if message["type"] == "SCHEMA" and message["stream"] == EDNA
    ]
    assert schema["key_properties"] == ["messageId", "direction"]


@pytest.mark.parametrize("direction", [None, "", " "])
def test_a_row_without_a_direction_gets_the_configured_one(direction):
    vendor = Vendor([edna_row(1, END - HOUR, direction=direction)])
    assert [record["direction"] for record in read(vendor, edna_direction="IN").records(EDNA)] == ["IN"]
    assert [message["reason"] for message in read(vendor).records(REJECTED)] == ["no readable direction"]


@pytest.mark.parametrize("blank", ["", " ", "\t\n", None])
@pytest.mark.parametrize("other", [{}, {"messageId": None}, {"unknown": 1}])
def test_a_blank_identifier_counts_as_missing(blank, other):
    rows = [
        gateway_row(1, END - HOUR, messageId=blank, customerMessageId="order-1"),
        gateway_row(2, END - HOUR, messageId=blank, customerMessageId=blank),
        gateway_row(3, END - HOUR, **other),
        gateway_row(4, END - HOUR, messageId="", customerMessageId="order-4"),
    ]
    output = read(Vendor(rows))
    ids = {record["messageId"] for record in output.records(SMS)}
    assert ids - {"id 3"} == {"order-1", "order-4"}
    assert {message["reason"] for message in output.records(REJECTED)} == {"no readable messageId"}


@pytest.mark.parametrize(
    ("maps", "kept"),
    [
        ({}, True),
        ({REJECTED: {"__filter__": "stream != ''"}}, True),
        ({REJECTED: {"__alias__": "bad", "stream": "stream"}}, True),
        ({REJECTED: {"__filter__": "stream == ''"}}, False),
        ({REJECTED: None}, False),
        ({EDNA: {}, "__else__": None}, False),
        ({REJECTED: {"message": None}}, False),
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("flat", [True, False])
def test_rejected_messages_dropped_by_a_map_are_reported_as_discarded(maps, kept, flat, caplog):
    rows = [edna_row(1, END - HOUR), edna_row(2, END - HOUR, direction="")]
    read(Vendor(rows), stream_maps=maps, flattening_enabled=flat, flattening_max_depth=1)
    assert ("they are in the stream rejected_messages" in caplog.text) is kept
    assert ("1 of the 1 rejected messages of this run were DISCARDED" in caplog.text) is not kept


@pytest.mark.parametrize("recipients", [2, 50])
def test_only_the_first_message_with_an_identifier_is_accepted(recipients):
    rows = [
        gateway_row(n, END - HOUR + timedelta(seconds=n), messageId="campaign", body=f"text {n}")
        for n in range(recipients)
    ]
    output = read(Vendor([*rows, gateway_row(99, END - HOUR)]))
    assert {record["destination"] for record in output.records(SMS)} == {"390", "3999"}
    rejected = output.records(REJECTED)
    assert {message["reason"] for message in rejected} == {SHARED_KEY}
    assert {message["message"]["body"] for message in rejected} == {
        f"text {number}" for number in range(1, recipients)
    }
    assert [row["rejected"] for row in output.records(LEDGER) if row["stream"] == SMS] == [recipients - 1]


def test_a_rejected_message_keeps_its_key_when_its_status_changes():
    def keys(status):
        rows = [gateway_row(n, END - HOUR, messageId="campaign", deliveryStatus=status) for n in range(3)]
        return {message["rejectionId"] for message in read(Vendor(rows)).records(REJECTED)}

    assert keys("SENT") == keys("DELIVERED")


def test_an_identifier_shared_across_windows_overwrites_nothing():
    times = spread(25_000, timedelta(days=30))
    rows = [gateway_row(number, sent) for number, sent in enumerate(times)]
    for number in range(0, 25_000, 1_000):
        rows[number]["messageId"] = "campaign"
    output = read(Vendor(rows))
    ids = [record["messageId"] for record in output.records(SMS)]
    assert len(ids) == len({*ids}) == 25_000 - 24
    assert len(output.records(REJECTED)) == 24


def test_rows_far_from_a_boundary_are_not_duplicates():
    """A message with the identifier of one in a much earlier window is emitted: it is a newer version."""
    rows = [edna_row(number, sent) for number, sent in enumerate(spread(15_000, timedelta(days=30)), start=1)]
    rows[-1]["messageId"] = rows[0]["messageId"]
    assert len(read(Vendor(rows)).records(EDNA)) == 15_000


DEEP = "[" * 5_000 + "]" * 5_000
LONG = "9" * 6_000


def page_with(element):
    """Return a body for edna: valid rows, and one element as JSON text."""

    def body(rows, _more):
        good = [json.dumps(row) for row in rows]
        return f'{{"content": [{", ".join([*good[:3], element, *good[3:]])}], "hasNext": false}}'.encode()

    return body


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        ("null", "not an object"),
        ('"text"', "not an object"),
        ("[1, 2]", "not an object"),
        ('{"messageId": 7, "direction": "OUT", "x": ' + DEEP + "}", "nested"),
        ('{"messageId": 7, "direction": "OUT", "x": ' + LONG + "}", "digits"),
        ('{"messageId": ' + LONG + ', "direction": "OUT"}', "digits"),
    ],
    ids=["null", "string", "array", "deep", "long field", "long identifier"],
)
def test_an_unreadable_row_is_rejected_alone(element, reason):
    rows = [edna_row(number, sent) for number, sent in enumerate(spread(500, timedelta(days=1)), start=1)]
    output = read(Vendor(rows, answer=page_with(element)))
    assert len(output.records(EDNA)) == 500
    (rejected,) = output.records(REJECTED)
    assert reason in rejected["reason"]
    assert rejected["message"]["json"].replace(" ", "") == element.replace(" ", "")


@pytest.mark.parametrize("has_next", [{}, {"hasNext": None}])
def test_an_unknown_has_next_is_allowed(has_next):
    rows = [edna_row(number, sent) for number, sent in enumerate(spread(2_500, timedelta(days=1)), start=1)]
    output = read(Vendor(rows, answer=lambda page, _: {"content": page, **has_next}))
    assert len(output.records(EDNA)) == 2_500


def test_null_instead_of_a_list_is_an_empty_page():
    output = read(
        Vendor([edna_row(1, END + HOUR)], answer=lambda _page, _more: {"content": None, "hasNext": False})
    )
    assert output.records(EDNA) == []
    assert output.bookmark(EDNA)


@pytest.mark.parametrize("make", [edna_row, gateway_row])
def test_status_204_is_an_empty_page(make):
    output = read(Vendor([make(1, END - HOUR)], status=lambda _start, _end: 204))
    assert output.records(EDNA) + output.records(SMS) == []
    assert output.state["bookmarks"]


@pytest.mark.parametrize("make", [edna_row, gateway_row])
def test_u_0000_is_replaced_everywhere_and_counted(make, caplog):
    text = "a\0b"
    fields = {"body": text, "content": text, "new\0field": {"in\0ner": [text]}}
    clean = [make(number, END - HOUR) for number in range(2, 50)]
    output = read(Vendor([make(1, END - HOUR, **fields), *clean]))
    (record,) = [record for record in output.records(EDNA) + output.records(SMS) if record["extraFields"]]
    assert "\0" not in json.dumps(record, ensure_ascii=False)
    assert "\\u0000" not in json.dumps(record)
    assert record["extraFields"]["new\ufffdfield"] == {"in\ufffdner": ["a\ufffdb"]}
    assert "5 characters of " in caplog.text


@pytest.mark.parametrize("charset", ["windows-1251", "utf-16", "utf-8"])
def test_a_declared_charset_is_used(charset):
    def body(page, more):
        return json.dumps({"content": page, "hasNext": more}, ensure_ascii=False).encode(charset)

    vendor = Vendor(
        [edna_row(1, END - HOUR, content="Привет")],
        headers={"Content-Type": f"application/json; charset={charset}"},
        answer=body,
    )
    assert [record["content"] for record in read(vendor).records(EDNA)] == ["Привет"]


def test_bytes_that_are_not_text_are_counted(caplog):
    row = json.dumps(edna_row(1, END - HOUR, content="ab")).encode().replace(b"ab", b"a\xff\xfeb")
    output = read(Vendor([edna_row(1, END - HOUR)], answer=lambda *_: b'{"content": [' + row + b"]}"))
    assert [record["content"] for record in output.records(EDNA)] == ["a\ufffd\ufffdb"]
    assert "characters of edna_history are not valid" in caplog.text


def test_a_row_at_a_boundary_is_rejected_once():
    rows = [edna_row(number, sent) for number, sent in enumerate(spread(25_000, timedelta(days=30)), start=1)]
    invalid = [edna_row(0.5, sent) for sent in spread(40, timedelta(days=30))]
    output = read(Vendor([*rows, *invalid]), stream_maps={})
    assert len(output.records(REJECTED)) == 40
