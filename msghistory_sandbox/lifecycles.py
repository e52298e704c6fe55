"""Synthetic status lifecycles: final after seconds for most messages, hours for reads, days for expiry."""

from __future__ import annotations

import math
import random

from msghistory_sandbox.times import DAY_MS

Lifecycle = tuple[tuple[int, str], ...]
"""Pairs `(ms after the send, status)`, ascending."""

VALIDITY_MS = 3 * DAY_MS
MAX_READ_DELAY_MS = 28 * DAY_MS
PROFILES = 2048
"""Distinct lifecycles per channel; messages share them to keep large histories small."""

# Percentages of the messages.
EDNA_OUTCOMES = {"invalid": 1, "stuck": 2, "undelivered": 3, "expired": 3, "delivered": 51, "read": 40}
GATEWAY_OUTCOMES = {"stuck": 2, "unknown": 1, "error": 3, "expired": 3, "delivered": 91}
RECEIVED_SHARE = 0.3


def edna_lifecycles(rng: random.Random, channel: str) -> list[Lifecycle]:
    """Generate lifecycles of edna's outgoing messages. SMS has no read receipts."""
    outcomes = _draw(rng, EDNA_OUTCOMES)
    return [
        _edna(rng, "delivered" if channel == "SMS" and outcome == "read" else outcome) for outcome in outcomes
    ]


def gateway_lifecycles(rng: random.Random) -> list[Lifecycle]:
    """Generate lifecycles of the gateway's messages. The gateway has no status for reads."""
    return [_gateway(rng, outcome) for outcome in _draw(rng, GATEWAY_OUTCOMES)]


def _draw(rng: random.Random, outcomes: dict[str, int]) -> list[str]:
    return rng.choices(tuple(outcomes), tuple(outcomes.values()), k=PROFILES)


def _delay_ms(rng: random.Random, median_ms: float, spread: float) -> int:
    """Draw from a log-normal distribution: most delays near the median, a few many times longer."""
    return 1 + int(median_ms * math.exp(rng.gauss(0, spread)))


def _edna(rng: random.Random, outcome: str) -> Lifecycle:
    accepted = (0, "ACCEPTED")
    if outcome == "invalid":
        return accepted, (_delay_ms(rng, 200, 0.5), "INVALID")
    queued_ms = _delay_ms(rng, 300, 0.5)
    sent_ms = queued_ms + _delay_ms(rng, 1_500, 0.5)
    sent = accepted, (queued_ms, "ENQUEUED"), (sent_ms, "SENT")
    if outcome == "stuck":
        return sent
    if outcome == "undelivered":
        return *sent, (sent_ms + _delay_ms(rng, 60_000, 1), "UNDELIVERED")
    if outcome == "expired":
        return *sent, (VALIDITY_MS, "UNDELIVERED")
    delivered_ms = sent_ms + _delay_ms(rng, 8_000, 1.6)
    delivered = *sent, (delivered_ms, "DELIVERED")
    if outcome == "delivered":
        return delivered
    read_ms = delivered_ms + _delay_ms(rng, 7_200_000, 1.8)
    return *delivered, (min(read_ms, MAX_READ_DELAY_MS), "READ")


def _gateway(rng: random.Random, outcome: str) -> Lifecycle:
    sent = (0, "SENT")
    if outcome == "stuck":
        return (sent,)
    if outcome == "unknown":
        return sent, (_delay_ms(rng, DAY_MS, 0.3), "UNKNOWN")
    if outcome == "error":
        return sent, (_delay_ms(rng, 20_000, 1), "ERROR")
    if outcome == "expired":
        return sent, (VALIDITY_MS, "EXPIRED")
    received_ms = _delay_ms(rng, 1_500, 0.5)
    delivered = (received_ms + _delay_ms(rng, 8_000, 1.6), "DELIVERED")
    if rng.random() < RECEIVED_SHARE:
        return sent, (received_ms, "RECEIVED"), delivered
    return sent, delivered
