"""Templates of synthetic messages: campaigns, services and chats, each with its own properties."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from msghistory_sandbox import texts
from msghistory_sandbox.lifecycles import Lifecycle

EDNA_CHANNELS = ("SMS", "SMS", "SMS", "WHATSAPP", "WHATSAPP", "VIBER")  # repeated according to their shares
TENANT_ID = 3193
INCOMING: tuple[Lifecycle, ...] = (((0, "ACCEPTED"),),)
PRICES = {"SMS": 0.045, "RCS": 0.038, "WHATSAPP": 0.0612}
CASCADE_SHARE = 0.7
MISSING_SHARE = 0.05
"""Share of the gateway's templates without a cost, and of those without a sender."""
SENDERS = ("ACME", "Farmacia", "+393399957012", "Клиника")


class MessageTemplate(NamedTuple):
    """Properties that messages of one origin share, so that large histories stay small."""

    channel: str
    direction: str
    texts: Sequence[str]
    lifecycles: Sequence[Lifecycle]
    fields: Mapping[str, object]
    has_customer_id: bool = False


def edna_campaign(
    rng: random.Random, number: int, lifecycles: Mapping[str, Sequence[Lifecycle]]
) -> MessageTemplate:
    """Build the template of a broadcast: one text, personalized with many names."""
    channel = EDNA_CHANNELS[number % len(EDNA_CHANNELS)]
    text = texts.CAMPAIGNS[number % len(texts.CAMPAIGNS)]
    fields = _edna_outgoing(rng, channel, "HSM" if channel == "WHATSAPP" else "AD", text)
    fields |= {"broadcastId": 318_000 + number, "broadcastName": f"Рассылка «{number}»"}
    if number % 3 == 0:
        fields["comment"] = None
    if number % 7 == 0 and channel == "WHATSAPP":
        fields["content"] = texts.flow_content()
    return MessageTemplate(channel, "OUT", _personalized(text), lifecycles[channel], fields)


def edna_service(
    rng: random.Random, number: int, lifecycles: Mapping[str, Sequence[Lifecycle]]
) -> MessageTemplate:
    """Build the template of single outgoing messages: codes, notifications, or an operator's chat."""
    channel = EDNA_CHANNELS[number % len(EDNA_CHANNELS)]
    is_chat = channel == "WHATSAPP" and number % 2 == 0
    variants = texts.CHAT if is_chat else (texts.SERVICE[number % len(texts.SERVICE)],)
    fields = _edna_outgoing(rng, channel, "CHAT" if is_chat else "SERVICE", variants[0])
    if not is_chat:
        fields |= {"matcherId": 6_199 + number, "matcherName": f"serv_{number}"}
    if number % 4 == 1:
        fields["comment"] = f"order; part {number}"
    return MessageTemplate(channel, "OUT", variants, lifecycles[channel], fields)


def edna_incoming(number: int) -> MessageTemplate:
    """Build the template of messages from recipients; some are responses to a WhatsApp Flow."""
    channel = EDNA_CHANNELS[number % len(EDNA_CHANNELS)]
    fields: dict[str, object] = _edna_subject(channel)
    if channel == "WHATSAPP" and number % 2 == 0:
        fields["content"] = texts.flow_response_content(texts.NAMES[number % len(texts.NAMES)])
    if number % 3 == 0:
        fields["externalRequestId"] = f"order-{900_000 + number}"
    return MessageTemplate(channel, "IN", texts.REPLIES, INCOMING, fields)


def _personalized(text: str) -> tuple[str, ...]:
    return tuple(text.replace("{name}", name) for name in texts.NAMES)


def _edna_subject(channel: str) -> dict[str, object]:
    number = 50_192 + EDNA_CHANNELS.index(channel)
    return {
        "tenantId": TENANT_ID,
        "subjectId": number,
        "subjectName": f"subject_{channel.lower()}",
    }


def _edna_outgoing(rng: random.Random, channel: str, traffic: str, text: str) -> dict[str, object]:
    fields = _edna_subject(channel) | {"trafficType": traffic, "segments": texts.segment_count(text)}
    if rng.random() < CASCADE_SHARE:
        number = rng.randint(32_000, 33_000)
        fields |= {
            "cascadeId": number,
            "cascadeName": f"cascade_{number}",
            "cascadeStageUuid": random_uuid(rng),
        }
    return fields


def gateway_campaign(
    rng: random.Random, channel: str, number: int, lifecycles: Sequence[Lifecycle]
) -> MessageTemplate:
    """Build the template of a campaign: one text, personalized with many names."""
    text = texts.CAMPAIGNS[number % len(texts.CAMPAIGNS)]
    return MessageTemplate(
        channel, "OUT", _personalized(text), lifecycles, _gateway_fields(rng, channel, text)
    )


def gateway_service(
    rng: random.Random, channel: str, number: int, lifecycles: Sequence[Lifecycle]
) -> MessageTemplate:
    """Build the template of single messages; most have a customer message ID."""
    text = texts.SERVICE[number % len(texts.SERVICE)]
    fields = _gateway_fields(rng, channel, text)
    return MessageTemplate(channel, "OUT", (text,), lifecycles, fields, has_customer_id=number % 5 > 0)


def _gateway_fields(rng: random.Random, channel: str, text: str) -> dict[str, object]:
    parts = texts.segment_count(text) if channel == "SMS" else 1
    fields: dict[str, object] = {
        "sender": SENDERS[int(rng.random() * len(SENDERS))],
        "cost": round(PRICES[channel] * parts, 4),
        "parts": parts,
    }
    if rng.random() < MISSING_SHARE:
        fields["cost"] = None
    if rng.random() < MISSING_SHARE:
        fields["sender"] = msgspec.UNSET
    return fields


def random_uuid(rng: random.Random) -> str:
    """Generate a version 4 UUID as text; uuid.UUID would dominate the cost of generating a history."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
