"""Where made-up messages come from: campaigns, services and chats, each with its own properties."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from msghistory_sandbox import texts
from msghistory_sandbox.lifecycles import Lifecycle

EDNA_CHANNELS = ("SMS", "SMS", "SMS", "WHATSAPP", "WHATSAPP", "VIBER")  # by their shares
TENANT_ID = 3193
INCOMING: tuple[Lifecycle, ...] = (((0, "ACCEPTED"),),)
PRICES = {"SMS": 0.045, "RCS": 0.038, "WHATSAPP": 0.0612}
CASCADE_SHARE = 0.7
MISSING_SHARE = 0.05
"""Of the gateway's kinds of message: no cost, or no sender."""
SENDERS = ("ACME", "Farmacia", "+393399957012", "Клиника")


class Kind(NamedTuple):
    """What the messages of one origin have in common; shared, so that histories stay small."""

    channel: str
    direction: str
    texts: Sequence[str]
    lifecycles: Sequence[Lifecycle]
    fields: Mapping[str, object]
    has_customer_id: bool = False


def edna_campaign(rng: random.Random, number: int, settling: Mapping[str, Sequence[Lifecycle]]) -> Kind:
    """Make up a broadcast: one text with many names in it."""
    channel = EDNA_CHANNELS[number % len(EDNA_CHANNELS)]
    template = texts.CAMPAIGNS[number % len(texts.CAMPAIGNS)]
    fields = _edna_outgoing(rng, channel, "HSM" if channel == "WHATSAPP" else "AD", template)
    fields |= {"broadcastId": 318_000 + number, "broadcastName": f"Рассылка «{number}»"}
    if number % 3 == 0:
        fields["comment"] = None
    if number % 7 == 0 and channel == "WHATSAPP":
        fields["content"] = texts.flow_sent()
    named = tuple(template.replace("{name}", name) for name in texts.NAMES)
    return Kind(channel, "OUT", named, settling[channel], fields)


def edna_service(rng: random.Random, number: int, settling: Mapping[str, Sequence[Lifecycle]]) -> Kind:
    """Make up a kind of single outgoing message: codes, notices, an operator's chat."""
    channel = EDNA_CHANNELS[number % len(EDNA_CHANNELS)]
    chat = channel == "WHATSAPP" and number % 2 == 0
    sent = texts.CHAT if chat else (texts.SERVICE[number % len(texts.SERVICE)],)
    fields = _edna_outgoing(rng, channel, "CHAT" if chat else "SERVICE", sent[0])
    if not chat:
        fields |= {"matcherId": 6_199 + number, "matcherName": f"serv_{number}"}
    if number % 4 == 1:
        fields["comment"] = f"order; part {number}"
    return Kind(channel, "OUT", sent, settling[channel], fields)


def edna_incoming(number: int) -> Kind:
    """Make up a kind of message from recipients; some answer a WhatsApp Flow."""
    channel = EDNA_CHANNELS[number % len(EDNA_CHANNELS)]
    fields: dict[str, object] = _edna_subject(channel)
    if channel == "WHATSAPP" and number % 2 == 0:
        fields["content"] = texts.flow_answered(texts.NAMES[number % len(texts.NAMES)])
    if number % 3 == 0:
        fields["externalRequestId"] = f"order-{900_000 + number}"
    return Kind(channel, "IN", texts.REPLIES, INCOMING, fields)


def _edna_subject(channel: str) -> dict[str, object]:
    number = 50_192 + EDNA_CHANNELS.index(channel)
    return {
        "tenantId": TENANT_ID,
        "subjectId": number,
        "subjectName": f"subject_{channel.lower()}",
    }


def _edna_outgoing(rng: random.Random, channel: str, traffic: str, text: str) -> dict[str, object]:
    fields = _edna_subject(channel) | {"trafficType": traffic, "segments": texts.parts(text)}
    if rng.random() < CASCADE_SHARE:
        number = rng.randint(32_000, 33_000)
        fields |= {
            "cascadeId": number,
            "cascadeName": f"cascade_{number}",
            "cascadeStageUuid": random_uuid(rng),
        }
    return fields


def gateway_campaign(rng: random.Random, channel: str, number: int, settling: Sequence[Lifecycle]) -> Kind:
    """Make up a campaign of the gateway's customer."""
    template = texts.CAMPAIGNS[number % len(texts.CAMPAIGNS)]
    named = tuple(template.replace("{name}", name) for name in texts.NAMES)
    return Kind(channel, "OUT", named, settling, _gateway_fields(rng, channel, template))


def gateway_service(rng: random.Random, channel: str, number: int, settling: Sequence[Lifecycle]) -> Kind:
    """Make up a kind of single message; its sender names each."""
    text = texts.SERVICE[number % len(texts.SERVICE)]
    fields = _gateway_fields(rng, channel, text)
    return Kind(channel, "OUT", (text,), settling, fields, has_customer_id=number % 5 > 0)


def _gateway_fields(rng: random.Random, channel: str, text: str) -> dict[str, object]:
    parts = texts.parts(text) if channel == "SMS" else 1
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
    """Draw a version 4 UUID; written by hand, as uuid.UUID takes most of a generation's time."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
