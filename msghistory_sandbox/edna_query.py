"""Queries of edna's message history: the request body, filters and sort order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal
from zlib import crc32

import msgspec

from msghistory_sandbox.history import History, Message
from msghistory_sandbox.options import EdnaOptions
from msghistory_sandbox.query_cache import visible_between
from msghistory_sandbox.times import DAY_MS, parse_us

DEFAULT_DAYS = 30

AddressType = Literal[
    "PHONE", "EMAIL", "UTM", "COOKIE_ID", "INSTAGRAM_ID", "TELEGRAM_ID", "GOOGLE_ID",
    "APPLE_ID", "YANDEX_ID", "EXT_USER_ID", "FACEBOOK_ID", "EDNA_ID",
]  # fmt: skip
Property = Literal[
    "messageId", "tenantId", "channelType", "direction", "address", "content", "deliveryStatus",
    "deliveryStatusAt", "deliveryStatusMessage", "sentOrReceivedAt", "subjectId", "subjectName",
    "cascadeId", "cascadeName", "cascadeStageUuid", "broadcastId", "broadcastName", "trafficType",
    "segments", "subscriberId", "matcherId", "matcherName", "comment", "replyInMessageId",
    "replyOutMessageId", "externalRequestId",
]  # fmt: skip


class SubscriberFilter(msgspec.Struct, frozen=True):
    """Filter by the recipient's address; every address in the sandbox is a PHONE."""

    address: str = ""
    type: AddressType | None = None


class Sort(msgspec.Struct, frozen=True):
    """One sort key: any property of a message."""

    property: Property
    direction: Literal["ASC", "DESC"] = "DESC"


class Query(msgspec.Struct, frozen=True, rename="camel"):
    """The request body; unknown properties are ignored."""

    offset: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=0)] = 0
    subscriber_filter: SubscriberFilter | None = None
    channel_types: tuple[str, ...] | None = None
    message_id: int | None = None
    direction: Literal["IN", "OUT"] | None = None
    date_from: str | None = None
    date_to: str | None = None
    sort: tuple[Sort, ...] | None = None
    traffic_types: tuple[str, ...] | None = None
    subject_id: int | None = None


NEWEST_FIRST = (Sort("sentOrReceivedAt"),)


def range_us(query: Query, clock_ms: int) -> tuple[int, int]:
    """Return the requested range (epoch µs), with the documented defaults; ValueError if it is invalid."""
    now_us = clock_ms * 1000
    to_us = now_us if query.date_to is None else parse_us(query.date_to)
    if query.date_from is not None:
        return parse_us(query.date_from), to_us
    return now_us - DEFAULT_DAYS * DAY_MS * 1000, to_us


def find(
    history: History,
    query: Query,
    bounds_us: tuple[int, int],
    clock_ms: int,
    options: EdnaOptions,
) -> tuple[list[Message], int]:
    """Return the messages that pass the filters, and the time (ms) at which the next becomes visible."""
    from_us, to_us = bounds_us
    # Round the bounds inward to whole ms.
    from_ms = from_us // 1000 + 1 if options.exclusive_from else -(-from_us // 1000)
    to_ms = -(-to_us // 1000) - 1 if options.exclusive_to else to_us // 1000
    lead_ms = options.created_lead_ms
    messages, valid_until_ms = visible_between(history, from_ms, to_ms + lead_ms, clock_ms)
    filters = _filters(query)
    if lead_ms:
        filters.append(lambda message: from_ms <= created_ms(message, lead_ms) <= to_ms)
    if filters:
        messages = [message for message in messages if all(matches(message) for matches in filters)]
    return messages, valid_until_ms


def _filters(query: Query) -> list[Callable[[Message], bool]]:
    filters: list[Callable[[Message], bool]] = []
    if channels := query.channel_types:
        filters.append(lambda message: message.channel in channels)
    if query.direction:
        filters.append(lambda message: message.direction == query.direction)
    if traffic := query.traffic_types:
        filters.append(lambda message: message.fields.get("trafficType") in traffic)
    if query.subject_id is not None:
        filters.append(lambda message: message.fields.get("subjectId") == query.subject_id)
    if query.message_id is not None:
        filters.append(lambda message: message.id == query.message_id)
    if subscriber := query.subscriber_filter:
        is_phone = subscriber.type in (None, "PHONE")
        filters.append(lambda message: is_phone and message.address == subscriber.address)
    return filters


def created_ms(message: Message, lead_ms: int) -> int:
    """Return a message's creation time, up to `lead_ms` before its send time; deterministic per message."""
    return message.sent_ms - crc32(str(message.id).encode()) % (lead_ms + 1)


def sort(
    messages: list[Message], keys: tuple[Sort, ...], render: Callable[[Message], dict[str, Any]]
) -> None:
    """Sort in place by several keys, in descending priority."""
    for key in reversed(keys):
        sort_key: Callable[[Message], Any]
        if key.property == "sentOrReceivedAt":
            sort_key = _sent_ms
        elif key.property == "messageId":
            sort_key = _id
        else:
            sort_key = _rendered(key.property, render)
        messages.sort(key=sort_key, reverse=key.direction == "DESC")


def _sent_ms(message: Message) -> int:
    return message.sent_ms


def _id(message: Message) -> int | str:
    return message.id


def _rendered(name: str, render: Callable[[Message], dict[str, Any]]) -> Callable[[Message], tuple[int, Any]]:
    return lambda message: _rank(render(message).get(name))


def _rank(value: object) -> tuple[int, Any]:
    """Make values comparable: numbers first, then texts, then all others and missing values."""
    if isinstance(value, (int, float)):
        return 0, value
    return (1, value) if isinstance(value, str) else (2, "")
