"""Send times with realistic traffic: daily and weekly cycles, and campaigns sent in bursts."""

from __future__ import annotations

import random

HOUR_MS = 3_600_000

# Relative weights of the hours of a day (UTC) and of the days of a week (from Monday).
HOURS = (1, 1, 1, 1, 2, 4, 8, 14, 20, 24, 25, 24, 22, 22, 24, 24, 23, 22, 18, 14, 9, 5, 3, 2)
WEEKDAYS = (10, 11, 11, 11, 12, 6, 4)
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday

CAMPAIGN_SHARE = 0.45
MIN_CAMPAIGN = 5
TYPICAL_CAMPAIGN_COUNT = 40


def sending_times(rng: random.Random, count: int, days: int, end_ms: int) -> list[tuple[int, int]]:
    """Generate sorted pairs `(epoch ms, campaign number)`; the last time is `end_ms`.

    Campaigns are numbered from 1; messages outside campaigns have 0.
    """
    ages = range(days * 24)  # hours before the end
    weights = [_weight(end_ms - (age + 1) * HOUR_MS) for age in ages]
    in_campaigns = int(count * CAMPAIGN_SHARE)
    times = [
        (end_ms - age * HOUR_MS - rng.randrange(HOUR_MS), 0)
        for age in rng.choices(ages, weights, k=count - in_campaigns)
    ]
    campaign = 0
    while in_campaigns:
        campaign += 1
        typical_size = count * CAMPAIGN_SHARE / TYPICAL_CAMPAIGN_COUNT
        size = min(in_campaigns, MIN_CAMPAIGN + int(rng.expovariate(1 / typical_size)))
        in_campaigns -= size
        age = rng.choices(ages, weights)[0]
        last_ms = end_ms - age * HOUR_MS
        times += [(last_ms - offset_ms, campaign) for offset_ms in _burst(rng, size)]
    first_ms = end_ms - days * 24 * HOUR_MS
    times = sorted((max(sent_ms, first_ms), campaign) for sent_ms, campaign in times)
    if times:
        times[-1] = end_ms, times[-1][1]
    return times


def _weight(ms: int) -> int:
    hours = ms // HOUR_MS
    return HOURS[hours % 24] * WEEKDAYS[(hours // 24 + EPOCH_WEEKDAY) % 7]


def _burst(rng: random.Random, size: int) -> list[int]:
    """Generate a campaign's send times as ms before its end: groups in the same ms, with short pauses."""
    offsets: list[int] = []
    offset_ms = rng.randrange(HOUR_MS)
    while len(offsets) < size:
        offsets += [offset_ms] * min(rng.randint(1, 8), size - len(offsets))
        offset_ms += rng.randint(20, 400)
    return offsets
