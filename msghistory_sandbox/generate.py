"""Generation of realistic histories; deterministic for a given seed and end time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec

from msghistory_sandbox.history import Message
from msghistory_sandbox.lifecycles import edna_lifecycles, gateway_lifecycles
from msghistory_sandbox.templates import (
    EDNA_CHANNELS,
    MessageTemplate,
    edna_campaign,
    edna_incoming,
    edna_service,
    gateway_campaign,
    gateway_service,
    random_uuid,
)
from msghistory_sandbox.traffic import sending_times

DEFAULT_MESSAGES = 20_000
DEFAULT_DAYS = 60

FIRST_EDNA_ID = 8_270_515
LATE_SHARE = 0.01
"""Share of messages that become visible in the API only after their send time."""
MAX_LATE_MS = 20_000
UNKNOWN_FIELDS: tuple[dict[str, Any], ...] = (
    {"deliveryAttempts": 2},
    {"routing": {"country": "IT", "operators": ["Primo", "Secondo"], "priority": None}},
    {"labels": ["spring", 'sale "50 %"']},
    {"isTest": True, "score": 0.25},
    {"segments": "two", "parts": "two"},
    {"comment": {"text": "urgent\n"}, "deliveryStatusDescription": ["delivered", "to handset"]},
)
"""Fields that neither vendor documents, or documented fields of an unexpected type."""
REPLY_SHARE = 0.3
"""Share of incoming messages that quote the previous message."""


def edna_messages(*, count: int, seed: int, days: int, end_ms: int) -> list[Message]:
    """Generate edna's messages, in send order."""
    rng = random.Random(f"edna {seed}")
    times = sending_times(rng, count, days, end_ms)
    lifecycles = {channel: edna_lifecycles(rng, channel) for channel in sorted(set(EDNA_CHANNELS))}
    campaigns = [edna_campaign(rng, number, lifecycles) for number in _campaign_numbers(times)]
    single = [edna_service(rng, number, lifecycles) for number in range(40)]
    single += [edna_incoming(number) for number in range(8)]
    return _messages(
        rng=rng,
        times=times,
        ids=_mostly_ascending_ids(rng, count),
        campaigns=campaigns,
        single=single,
        phones=_phone_numbers(rng, count, "7"),
    )


def gateway_messages(*, count: int, seed: int, days: int, end_ms: int) -> dict[str, list[Message]]:
    """Generate the gateway's messages by channel, each in send order; most are SMS."""
    minority = count * 15 // 100
    counts = {"SMS": count - 2 * minority, "RCS": minority, "WHATSAPP": minority}
    return {
        channel: _gateway_channel(random.Random(f"{channel} {seed}"), channel, size, days, end_ms)
        for channel, size in counts.items()
    }


def _gateway_channel(rng: random.Random, channel: str, count: int, days: int, end_ms: int) -> list[Message]:
    times = sending_times(rng, count, days, end_ms)
    lifecycles = gateway_lifecycles(rng)
    campaigns = [gateway_campaign(rng, channel, number, lifecycles) for number in _campaign_numbers(times)]
    single = [gateway_service(rng, channel, number, lifecycles) for number in range(20)]
    return _messages(
        rng=rng,
        times=times,
        ids=[random_uuid(rng) for _ in range(count)],
        campaigns=campaigns,
        single=single,
        phones=_phone_numbers(rng, count, "39"),
    )


def with_unknown_fields(messages: Sequence[Message], *, rate: float, seed: int) -> list[Message]:
    """Add undocumented fields, or fields of an unexpected type, to a share `rate` (0 to 1) of messages."""
    rng = random.Random(f"unknown {seed}")
    return [
        msgspec.structs.replace(message, fields={**message.fields, **rng.choice(UNKNOWN_FIELDS)})
        if rng.random() < rate
        else message
        for message in messages
    ]


def _campaign_numbers(times: Sequence[tuple[int, int]]) -> range:
    return range(max((campaign for _, campaign in times), default=0) + 1)


def _phone_numbers(rng: random.Random, count: int, country: str) -> list[str]:
    """Generate the recipients; each receives about five messages."""
    return [f"{country}{rng.randrange(10**9, 10**10)}" for _ in range(count // 5 + 20)]


def _mostly_ascending_ids(rng: random.Random, count: int) -> list[int]:
    """Generate IDs that ascend with the send time, with gaps and a few out of order."""
    ids = [FIRST_EDNA_ID]
    while len(ids) < count:
        ids.append(ids[-1] + 1 + int(rng.random() * 5))
    for index in range(0, count - 30, 20):
        other = index + 1 + int(rng.random() * 29)
        ids[index], ids[other] = ids[other], ids[index]
    return ids


def _messages(
    *,
    rng: random.Random,
    times: Sequence[tuple[int, int]],
    ids: Sequence[int | str],
    campaigns: Sequence[MessageTemplate],
    single: Sequence[MessageTemplate],
    phones: Sequence[str],
) -> list[Message]:
    draw = rng.random  # int(draw() * length) is several times as fast as rng.choice
    messages: list[Message] = []
    for (sent_ms, campaign), message_id in zip(times, ids, strict=False):
        template = campaigns[campaign] if campaign else single[int(draw() * len(single))]
        text = template.texts[int(draw() * len(template.texts))]
        code = str(100_000 + int(draw() * 900_000))
        fields = template.fields
        if template.direction == "IN" and messages and draw() < REPLY_SHARE:
            fields = {**fields, "replyOutMessageId": messages[-1].id}
        messages.append(
            Message(
                id=message_id,
                sent_ms=sent_ms,
                channel=template.channel,
                direction=template.direction,
                address=phones[int(draw() * len(phones))],
                text=text.replace("{code}", code) if "{" in text else text,
                customer_id=f"order-{code}" if template.has_customer_id else None,
                lifecycle=template.lifecycles[int(draw() * len(template.lifecycles))],
                visible_ms=sent_ms + int(draw() * MAX_LATE_MS) if draw() < LATE_SHARE else sent_ms,
                fields=fields,
            )
        )
    return messages
