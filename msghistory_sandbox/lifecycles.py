"""How statuses settle: in seconds mostly, in hours for a read, after days for what fails late."""

from __future__ import annotations

import math
import random

from msghistory_sandbox.times import DAY_MS

Lifecycle = tuple[tuple[int, str], ...]

VALIDITY_MS = 3 * DAY_MS
LAST_READ_MS = 28 * DAY_MS
PROFILES = 2048
"""Different lifecycles a channel; its messages share them, which keeps large histories small."""


# Shares of the messages, of 100.
EDNA_FATES = {"invalid": 1, "stuck": 2, "undelivered": 3, "expired": 3, "delivered": 51, "read": 40}
GATEWAY_FATES = {"stuck": 2, "unknown": 1, "error": 3, "expired": 3, "delivered": 91}
RECEIVED_SHARE = 0.3


def edna_lifecycles(rng: random.Random, channel: str) -> list[Lifecycle]:
    """Draw lifecycles of edna's outgoing messages in a channel; an SMS tells nobody that it is read."""
    fates = _draw(rng, EDNA_FATES)
    return [_edna(rng, "delivered" if channel == "SMS" and fate == "read" else fate) for fate in fates]


def gateway_lifecycles(rng: random.Random) -> list[Lifecycle]:
    """Draw lifecycles of the gateway's messages; its statuses know no read."""
    return [_gateway(rng, fate) for fate in _draw(rng, GATEWAY_FATES)]


def _draw(rng: random.Random, fates: dict[str, int]) -> list[str]:
    return rng.choices(tuple(fates), tuple(fates.values()), k=PROFILES)


def _about(rng: random.Random, median_ms: float, spread: float) -> int:
    """Draw a log-normal delay in ms: most near the median, a few many times longer."""
    return 1 + int(median_ms * math.exp(rng.gauss(0, spread)))


def _edna(rng: random.Random, fate: str) -> Lifecycle:
    accepted = (0, "ACCEPTED")
    if fate == "invalid":
        return accepted, (_about(rng, 200, 0.5), "INVALID")
    queued_ms = _about(rng, 300, 0.5)
    sent_ms = queued_ms + _about(rng, 1_500, 0.5)
    sent = accepted, (queued_ms, "ENQUEUED"), (sent_ms, "SENT")
    if fate == "stuck":
        return sent
    if fate == "undelivered":
        return *sent, (sent_ms + _about(rng, 60_000, 1), "UNDELIVERED")
    if fate == "expired":
        return *sent, (VALIDITY_MS, "UNDELIVERED")
    delivered_ms = sent_ms + _about(rng, 8_000, 1.6)
    delivered = *sent, (delivered_ms, "DELIVERED")
    if fate == "delivered":
        return delivered
    read_ms = delivered_ms + _about(rng, 7_200_000, 1.8)
    return *delivered, (min(read_ms, LAST_READ_MS), "READ")


def _gateway(rng: random.Random, fate: str) -> Lifecycle:
    sent = (0, "SENT")
    if fate == "stuck":
        return (sent,)
    if fate == "unknown":
        return sent, (_about(rng, DAY_MS, 0.3), "UNKNOWN")
    if fate == "error":
        return sent, (_about(rng, 20_000, 1), "ERROR")
    if fate == "expired":
        return sent, (VALIDITY_MS, "EXPIRED")
    received_ms = _about(rng, 1_500, 0.5)
    delivered = (received_ms + _about(rng, 8_000, 1.6), "DELIVERED")
    if rng.random() < RECEIVED_SHARE:
        return sent, (received_ms, "RECEIVED"), delivered
    return sent, delivered
