"""Records: valid and complete, whatever a vendor sends."""

from __future__ import annotations

import json
import os
import re
import time
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msghistory_sandbox.history import Message
from tap_msghistory.errors import TapError, UnexpectedResponseError
from tap_msghistory.http import json_bodies as bodies
from tap_msghistory.reading.endpoint import HistoryEndpoint
from tap_msghistory.reading.layout import Identity, Layout
from tap_msghistory.reading.page_decoder import PageDecoder
from tap_msghistory.reading.records import RecordNormalizer, Rejected
from tap_msghistory.reading.source import HistorySource
from tap_msghistory.reading.timestamp_normalizer import TimestampNormalizer
from tap_msghistory.schemas import types_of
from tap_msghistory.vendors.edna import EdnaEndpoint, EdnaHistorySource
from tap_msghistory.vendors.partner_gateway import PartnerGatewayEndpoint, PartnerGatewayHistorySource
from tests.support import END_MS, REJECTED, ROOT, config, response, sync

EDNA = "edna_history"
SCHEMAS = {
    name: json.loads((ROOT / "schemas" / f"{name}.json").read_text())
    for name in ("edna_message", "partner_gateway_message")
}
VALIDATORS = {
    name: jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    for name, schema in SCHEMAS.items()
}

SOURCES: dict[str, type[HistorySource]] = {
    "edna_message": EdnaHistorySource,
    "partner_gateway_message": PartnerGatewayHistorySource,
}

#: Without U+0000, which is replaced; other tests cover that.
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.datetimes().map(str)
    | st.sampled_from(["2024-07-23T08:08:20.201+0000", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


NORMALIZE_TIMESTAMP = TimestampNormalizer(ZoneInfo("UTC"))


def parse_json(body):
    return bodies.read(response(body), msgspec.json.Decoder())


def normalizer(kind, assume="UTC"):
    source = SOURCES[kind]
    return RecordNormalizer(
        SCHEMAS[kind],
        replication_key=source.replication_key,
        assume_timezone=ZoneInfo(assume),
        primary_keys=source.primary_keys,
        id_fallback=source.id_fallback,
    )


def decode(kind, rows):
    """Decode a page of these rows."""
    page: dict[str, tuple[HistoryEndpoint, object]] = {
        "edna_message": (EdnaEndpoint("https://example.com"), {"content": rows, "hasNext": False}),
        "partner_gateway_message": (PartnerGatewayEndpoint("https://example.com", "SMS"), rows),
    }
    endpoint, content = page[kind]
    convert = normalizer(kind)
    keys = convert.primary_keys
    layout = Layout(SCHEMAS[kind], identity=Identity(keys, keys), replication_key=convert.replication_key)
    decoder = PageDecoder(endpoint=endpoint, layout=layout, normalizer=convert)
    return decoder(response(msgspec.json.encode(content)))


def row(kind, **fields):
    minimal: dict[str, dict[str, object]] = {
        "edna_message": {
            "messageId": 7,
            "direction": "OUT",
            "sentOrReceivedAt": "2024-07-23T08:08:20.201+0000",
        },
        "partner_gateway_message": {"messageId": "7", "sendDate": "2026-04-09T10:15:00+02:00"},
    }
    return {**minimal[kind], **fields}


def field_names(kind):
    names = [
        alias
        for name, declared in SCHEMAS[kind]["properties"].items()
        for alias in (name, *declared.get("x-aliases", ()))
    ]
    return st.sampled_from(names) | st.sampled_from(names).map(str.upper) | TEXT


@pytest.mark.parametrize("kind", SCHEMAS)
@given(data=st.data())
def test_every_record_is_valid_and_keeps_every_value(kind, data):
    fields = data.draw(st.dictionaries(field_names(kind), JSON, max_size=8))
    message = {**row(kind), **fields} if data.draw(st.booleans()) else fields
    normalized = normalizer(kind)(message)
    if isinstance(normalized, Rejected):
        assert normalized.row == message
        return
    VALIDATORS[kind].validate(normalized)
    assert msgspec.json.decode(msgspec.json.encode(normalized)) == normalized
    kept = json.dumps(list(normalized.values())) + json.dumps(
        list((normalized["extraFields"] or {}).values())
    )
    for value in fields.values():
        if isinstance(value, str) and not value[:4].isdigit():
            assert json.dumps(value)[1:-1] in kept


@pytest.mark.parametrize("kind", SCHEMAS)
@given(data=st.data())
def test_both_decoders_return_the_same_records(kind, data):
    """A page with an unusual row is decoded row by row, other pages directly into structs."""
    fields = st.dictionaries(field_names(kind), JSON, max_size=3)
    values = {"integer": st.integers(-(2**63), 2**63 - 1), "string": TEXT, "number": st.floats(0, 1)}
    own = {
        name: values[types_of(declared)[0]]
        for name, declared in SCHEMAS[kind]["properties"].items()
        if types_of(declared)[0] in values and declared.get("format") != "date-time"
    }
    fitting = st.fixed_dictionaries({}, optional=own)
    rows = data.draw(st.lists((fitting | fields).map(lambda fields: row(kind, **fields)), max_size=4))
    page = decode(kind, rows)
    normalized = [normalizer(kind)(message) for message in rows]
    assert [
        item if isinstance(item, Rejected) else msgspec.structs.asdict(item) for item in page.items
    ] == normalized


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_documented_alias_is_read(kind):
    for name, declaration in SCHEMAS[kind]["properties"].items():
        for alias in declaration.get("x-aliases", ()):
            value = {"integer": 5, "string": "2026-04-09T10:15:00Z"}[types_of(declaration)[0]]
            for key in (alias, alias.upper(), alias.lower()):
                record = normalizer(kind)(row(kind, **{key: value}))
                assert record[name] is not None, key
                assert record["extraFields"] is None, key


def test_a_propertys_name_takes_precedence_over_its_aliases():
    record = normalizer("partner_gateway_message")(
        row("partner_gateway_message", status="SENT", deliveryStatus="DELIVERED", STATUS="ERROR")
    )
    assert record["deliveryStatus"] == "DELIVERED"
    assert record["extraFields"] == {"status": "SENT", "STATUS": "ERROR"}


def test_an_alias_with_a_value_takes_precedence_over_null():
    record = normalizer("partner_gateway_message")(
        row("partner_gateway_message", deliveryStatus=None, status="DELIVERED")
    )
    assert record["deliveryStatus"] == "DELIVERED"
    assert record["extraFields"] is None


def test_an_identifier_may_be_digits_or_a_number():
    assert normalizer("edna_message")(row("edna_message", messageId="8270556"))["messageId"] == 8270556
    assert (
        normalizer("partner_gateway_message")(row("partner_gateway_message", messageId=7))["messageId"] == "7"
    )
    for malformed in ("", "x", "7.5", "-7", "\uff19", "1" * 30, True, 7.5):
        assert isinstance(normalizer("edna_message")(row("edna_message", messageId=malformed)), Rejected)


def test_a_number_keeps_its_notation(sandbox):
    for number, cost in enumerate((1, 0.045, 10**15)):
        fields = {"cost": cost}
        sandbox.gateway["SMS"].add(
            Message(id=str(number), sent_ms=END_MS - number, channel="SMS", fields=fields)
        )
    costs = [record["cost"] for record in sync(config(sandbox)).records("partner_gateway_history_sms")]
    assert list(map(repr, costs)) == ["1000000000000000", "0.045", "1"]


def test_unknown_fields_and_values_of_unexpected_types_are_kept():
    record = normalizer("edna_message")(
        row(
            "edna_message",
            segments="two",
            address=35000000000,
            newField={"a": [1]},
            subjectId=2**63,
            cascadeId=True,
        )
    )
    assert record["segments"] is record["address"] is record["subjectId"] is record["cascadeId"] is None
    assert record["extraFields"] == {
        "segments": "two",
        "address": 35000000000,
        "newField": {"a": [1]},
        "subjectId": 2**63,
        "cascadeId": True,
    }


def test_a_traffic_type_may_be_a_string_or_a_list():
    normalize = normalizer("edna_message")
    assert normalize(row("edna_message", trafficType="AD"))["trafficType"] == "AD"
    assert normalize(row("edna_message", trafficType=["AD", "HSM"]))["trafficType"] == "AD,HSM"


def test_content_is_kept_byte_for_byte():
    content = '{"text": "Привет 🚚 \\u0041 \\"x\\"",  "type" : "TEXT"}'
    assert normalizer("edna_message")(row("edna_message", content=content))["content"] == content


@pytest.mark.parametrize(
    ("given_time", "assume", "emitted"),
    [
        ("2024-07-23T08:08:20.201Z", "Europe/Rome", "2024-07-23T08:08:20.201Z"),
        ("2024-07-23T08:08:20.201+0000", "Europe/Rome", "2024-07-23T08:08:20.201Z"),
        ("2024-07-23T08:08:20+02:00", "UTC", "2024-07-23T06:08:20.000Z"),
        ("2024-07-23T08:08:20.201987Z", "UTC", "2024-07-23T08:08:20.201Z"),
        ("2024-07-23T08:08:20", "UTC", "2024-07-23T08:08:20.000Z"),
        ("2024-07-23T08:08:20", "Europe/Rome", "2024-07-23T06:08:20.000Z"),
        ("2024-07-23 08:08:20.201+0000", "UTC", "2024-07-23T08:08:20.201Z"),
        ("2024-07-23T08:08:20,201+0000", "UTC", "2024-07-23T08:08:20.201Z"),
        ("2024-07-23t08:08:20,2019z", "UTC", "2024-07-23T08:08:20.201Z"),
        ("2024-07-23 08:08+02", "UTC", "2024-07-23T06:08:00.000Z"),
        ("2024-10-27T02:30:00", "Europe/Rome", "2024-10-27T00:30:00.000Z"),  # ambiguous: the first
        ("2024-03-31T02:30:00", "Europe/Rome", "2024-03-31T01:30:00.000Z"),  # does not exist
        ("2024-10-27T02:30:00+01:00", "Europe/Rome", "2024-10-27T01:30:00.000Z"),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Rome", "Asia/Kathmandu", "America/New_York"])
def test_timestamps_do_not_depend_on_the_machines_time_zone(given_time, assume, emitted, zone):
    before = os.environ.get("TZ")
    os.environ["TZ"] = zone
    time.tzset()
    try:
        record = normalizer("edna_message", assume)(row("edna_message", sentOrReceivedAt=given_time))
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()
    assert record["sentOrReceivedAt"] == emitted


@given(
    st.datetimes(allow_imaginary=False, timezones=st.timezones())
    | st.datetimes(
        timezones=st.integers(-899, 899).map(lambda minutes: timezone(timedelta(minutes=minutes)))
    ),
    st.sampled_from(["auto", "seconds", "milliseconds", "microseconds"]),
    st.sampled_from([":", ""]),
    st.sampled_from("T t"),
)
def test_all_notations_of_a_time_give_the_same_timestamp(moment, precision, colon, separator):
    text = moment.isoformat(timespec=precision, sep=separator)
    text = text[:-6] + text[-6:].replace(":", colon)
    expected = datetime.fromisoformat(text)
    try:
        expected = expected.astimezone(timezone.utc)
    except OverflowError:
        return
    for _ in range(2):  # parsed, then cached
        assert NORMALIZE_TIMESTAMP(text) == expected.isoformat(timespec="milliseconds")[:23] + "Z"


@given(st.text(st.sampled_from("0123456789T:.,+-Z"), max_size=3), st.integers(0, 29))
def test_an_invalid_time_similar_to_valid_ones_is_rejected(characters, place):
    """Although the parts of valid times are cached."""
    right = "2024-07-23T08:08:20.201+0000"
    text = right[:place] + characters + right[place + len(characters) :]
    assert NORMALIZE_TIMESTAMP(right)
    assert NORMALIZE_TIMESTAMP(text) == TimestampNormalizer(ZoneInfo("UTC"))(text)


@given(st.text(st.sampled_from("0123456789-:.,TZ+ W"), max_size=30))
def test_whatever_is_accepted_as_a_time_is_emitted_normalized(text):
    emitted = TimestampNormalizer(ZoneInfo("UTC"))(text)
    assert emitted is None or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", emitted)


@pytest.mark.parametrize(
    "text",
    [
        "1712345678901",
        "1712345678",
        "20240723T080820Z",
        "2024-W30-2T08:08:20Z",
        "2024-07-23",
        "2024-07-23T08",
        "2024-07-23T080820.20198+0000",
        "2024-07-23T25:00:00Z",
        "2024-07-23T08:08:20Z ",
    ],
)
def test_only_the_extended_iso_8601_format_is_accepted(text):
    assert NORMALIZE_TIMESTAMP(text) is None


def test_an_assumed_time_zone_causes_one_warning(caplog):
    for _ in range(3):
        normalizer("edna_message", "Asia/Kathmandu")(
            row("edna_message", deliveryStatusAt="2024-07-23T08:08:20")
        )
    assert sum("Asia/Kathmandu" in record.getMessage() for record in caplog.records) == 1


# Invalid JSON.


@given(JSON)
def test_json_values_are_read_unchanged(value):
    assert parse_json(json.dumps(value).encode()) == value


def test_lone_surrogates_and_invalid_bytes_are_replaced():
    assert parse_json(b'{"text": "cut \\ud83d", "more": "\xff"}') == {"text": "cut �", "more": "�"}
    assert parse_json(b"\xef\xbb\xbf[NaN, 1e999]") == ["NaN", "1e999"]


@given(st.binary())
def test_the_error_for_invalid_json_does_not_quote_it(body):
    try:
        parse_json(body)
    except UnexpectedResponseError as error:
        assert str(error) in {"the body is not JSON", "the body is not a page of messages"}  # noqa: PT017


# Invalid messages.


def message(number, **fields):
    return Message(id=number, sent_ms=END_MS - number * 1000, channel="SMS", fields=fields)


@pytest.fixture
def with_invalid_messages(sandbox):
    sandbox.edna.add(
        message(1),
        message(2, messageId=msgspec.UNSET, text="unchanged"),
        message(3, messageId="three"),
        message(4, sentOrReceivedAt=None),
        message(5, sentOrReceivedAt="yesterday"),
        message(6),
    )
    return sandbox


def test_invalid_messages_are_emitted_unchanged_and_the_run_continues(with_invalid_messages, caplog):
    output = sync(config(with_invalid_messages))
    assert [record["messageId"] for record in output.records(EDNA)] == [6, 1]
    rejected = output.records(REJECTED)
    assert [message["stream"] for message in rejected] == [EDNA] * 4
    assert {message["reason"] for message in rejected} == {
        "no readable messageId",
        "no readable sentOrReceivedAt",
    }
    assert len({message["rejectionId"] for message in rejected}) == 4
    assert all(message["rejectedAt"].endswith("Z") for message in rejected)
    (unchanged,) = (message["message"] for message in rejected if message["message"].get("text"))
    assert unchanged["channelType"] == "SMS"
    assert any("4 messages of edna_history are invalid" in record.getMessage() for record in caplog.records)


def test_rejected_messages_precede_the_state_that_covers_them(with_invalid_messages):
    types = [
        (message["type"], message.get("stream")) for message in sync(config(with_invalid_messages)).messages
    ]
    first_state = next(at for at, (type_, _) in enumerate(types) if type_ == "STATE")
    assert ("RECORD", REJECTED) in types[:first_state]
    assert types.index(("SCHEMA", REJECTED)) < types.index(("RECORD", REJECTED))


def test_a_message_rejected_again_has_the_same_key(with_invalid_messages):
    keys = [
        {message["rejectionId"] for message in sync(config(with_invalid_messages)).records(REJECTED)}
        for _ in range(2)
    ]
    assert keys[0] == keys[1]


def test_above_max_rejected_the_run_fails_without_a_state(with_invalid_messages):
    errors: list[TapError] = []
    output = sync(config(with_invalid_messages, max_rejected=3), catch=errors.append)
    assert "max_rejected (3)" in str(errors[0])
    assert len(output.records(REJECTED)) == 4
    assert output.state == {}
    assert sync(config(with_invalid_messages, max_rejected=4)).state
