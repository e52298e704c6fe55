"""Life-like histories from a seed: the same seed and end give the same messages."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec

from msghistory_sandbox.history import Message
from msghistory_sandbox.kinds import (
    EDNA_CHANNELS,
    Kind,
    edna_campaign,
    edna_incoming,
    edna_service,
    gateway_campaign,
    gateway_service,
    random_uuid,
)
from msghistory_sandbox.lifecycles import edna_lifecycles, gateway_lifecycles
from msghistory_sandbox.traffic import sending_times

DEFAULT_MESSAGES = 20_000
DEFAULT_DAYS = 60

FIRST_EDNA_ID = 8_270_515
LATE_SHARE = 0.01
LATEST_MS = 20_000
"""A few messages appear in the API only some seconds after the send."""
UNKNOWN_FIELDS: tuple[dict[str, Any], ...] = (
    {"deliveryAttempts": 2},
    {"routing": {"country": "IT", "operators": ["Primo", "Secondo"], "priority": None}},
    {"labels": ["spring", 'sale "50 %"']},
    {"isTest": True, "score": 0.25},
    {"segments": "two", "parts": "two"},
    {"comment": {"text": "urgent\n"}, "deliveryStatusDescription": ["delivered", "to handset"]},
)
"""Added to a share of the messages; each is unknown to both vendors, or of another type."""
REPLY_SHARE = 0.3
"""Of the incoming messages; they quote what was sent just before."""


def edna_messages(*, count: int, seed: int, days: int, end_ms: int) -> list[Message]:
    """Make up edna's messages, in send order."""
    rng = random.Random(f"edna {seed}")
    times = sending_times(rng, count, days, end_ms)
    settling = {channel: edna_lifecycles(rng, channel) for channel in sorted(set(EDNA_CHANNELS))}
    campaigns = [edna_campaign(rng, number, settling) for number in _campaigns(times)]
    single = [edna_service(rng, number, settling) for number in range(40)]
    single += [edna_incoming(number) for number in range(8)]
    return _messages(
        rng=rng,
        times=times,
        ids=_almost_growing(rng, count),
        campaigns=campaigns,
        single=single,
        phones=_phones(rng, count, "7"),
    )


def gateway_messages(*, count: int, seed: int, days: int, end_ms: int) -> dict[str, list[Message]]:
    """Make up the gateway's messages by channel, each in send order; most are SMS."""
    few = count * 15 // 100
    counts = {"SMS": count - 2 * few, "RCS": few, "WHATSAPP": few}
    return {
        channel: _gateway_channel(random.Random(f"{channel} {seed}"), channel, size, days, end_ms)
        for channel, size in counts.items()
    }


def _gateway_channel(rng: random.Random, channel: str, count: int, days: int, end_ms: int) -> list[Message]:
    times = sending_times(rng, count, days, end_ms)
    settling = gateway_lifecycles(rng)
    campaigns = [gateway_campaign(rng, channel, number, settling) for number in _campaigns(times)]
    single = [gateway_service(rng, channel, number, settling) for number in range(20)]
    return _messages(
        rng=rng,
        times=times,
        ids=[random_uuid(rng) for _ in range(count)],
        campaigns=campaigns,
        single=single,
        phones=_phones(rng, count, "39"),
    )


def with_unknown_fields(messages: Sequence[Message], *, rate: float, seed: int) -> list[Message]:
    """Give a share of the messages a field that no documentation shows, or one of another type."""
    rng = random.Random(f"unknown {seed}")
    return [
        msgspec.structs.replace(message, fields={**message.fields, **rng.choice(UNKNOWN_FIELDS)})
        if rng.random() < rate
        else message
        for message in messages
    ]


def _campaigns(times: Sequence[tuple[int, int]]) -> range:
    return range(max((campaign for _, campaign in times), default=0) + 1)


def _phones(rng: random.Random, count: int, country: str) -> list[str]:
    """Addresses; each gets a few messages."""
    return [f"{country}{rng.randrange(10**9, 10**10)}" for _ in range(count // 5 + 20)]


def _almost_growing(rng: random.Random, count: int) -> list[int]:
    """Ids that grow with the send time, with gaps, and here and there out of turn."""
    ids = [FIRST_EDNA_ID]
    while len(ids) < count:
        ids.append(ids[-1] + 1 + int(rng.random() * 5))
    for place in range(0, count - 30, 20):
        other = place + 1 + int(rng.random() * 29)
        ids[place], ids[other] = ids[other], ids[place]
    return ids


def _messages(
    *,
    rng: random.Random,
    times: Sequence[tuple[int, int]],
    ids: Sequence[int | str],
    campaigns: Sequence[Kind],
    single: Sequence[Kind],
    phones: Sequence[str],
) -> list[Message]:
    draw = rng.random  # times a sequence's length, several times as fast as rng.choice
    messages: list[Message] = []
    for (sent_ms, campaign), message_id in zip(times, ids, strict=False):
        kind = campaigns[campaign] if campaign else single[int(draw() * len(single))]
        text = kind.texts[int(draw() * len(kind.texts))]
        code = str(100_000 + int(draw() * 900_000))
        fields = kind.fields
        if kind.direction == "IN" and messages and draw() < REPLY_SHARE:
            fields = {**fields, "replyOutMessageId": messages[-1].id}
        messages.append(
            Message(
                id=message_id,
                sent_ms=sent_ms,
                channel=kind.channel,
                direction=kind.direction,
                address=phones[int(draw() * len(phones))],
                text=text.replace("{code}", code) if "{" in text else text,
                customer_id=f"order-{code}" if kind.has_customer_id else None,
                lifecycle=kind.lifecycles[int(draw() * len(kind.lifecycles))],
                visible_ms=sent_ms + int(draw() * LATEST_MS) if draw() < LATE_SHARE else sent_ms,
                fields=fields,
            )
        )
    return messages
