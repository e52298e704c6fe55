"""When messages are sent: by day more than by night, less at weekends, campaigns in bursts."""

from __future__ import annotations

import random

HOUR_MS = 3_600_000

# Shares of the hours of a day (UTC) and of the days of a week (from Monday).
HOURS = (1, 1, 1, 1, 2, 4, 8, 14, 20, 24, 25, 24, 22, 22, 24, 24, 23, 22, 18, 14, 9, 5, 3, 2)
WEEKDAYS = (10, 11, 11, 11, 12, 6, 4)
EPOCH_WEEKDAY = 3  # a Thursday

CAMPAIGN_SHARE = 0.45
MIN_CAMPAIGN = 5
CAMPAIGNS_OF_USUAL_SIZE = 40


def sending_times(rng: random.Random, count: int, days: int, end_ms: int) -> list[tuple[int, int]]:
    """Sorted `(epoch ms, campaign)`, campaign 0 for single messages; the last is at `end_ms`."""
    ages = range(days * 24)  # in hours before the end
    weights = [_weight(end_ms - (age + 1) * HOUR_MS) for age in ages]
    in_campaigns = int(count * CAMPAIGN_SHARE)
    times = [
        (end_ms - age * HOUR_MS - rng.randrange(HOUR_MS), 0)
        for age in rng.choices(ages, weights, k=count - in_campaigns)
    ]
    campaign = 0
    while in_campaigns:
        campaign += 1
        usual = count * CAMPAIGN_SHARE / CAMPAIGNS_OF_USUAL_SIZE
        size = min(in_campaigns, MIN_CAMPAIGN + int(rng.expovariate(1 / usual)))
        in_campaigns -= size
        age = rng.choices(ages, weights)[0]
        latest_ms = end_ms - age * HOUR_MS
        times += [(latest_ms - before, campaign) for before in _burst(rng, size)]
    earliest_ms = end_ms - days * 24 * HOUR_MS
    times = sorted((max(sent_ms, earliest_ms), campaign) for sent_ms, campaign in times)
    if times:
        times[-1] = end_ms, times[-1][1]
    return times


def _weight(ms: int) -> int:
    hours = ms // HOUR_MS
    return HOURS[hours % 24] * WEEKDAYS[(hours // 24 + EPOCH_WEEKDAY) % 7]


def _burst(rng: random.Random, size: int) -> list[int]:
    """Ms before its end at which a campaign sends: a few in the same ms, then a short pause."""
    ages: list[int] = []
    before = rng.randrange(HOUR_MS)
    while len(ages) < size:
        ages += [before] * min(rng.randint(1, 8), size - len(ages))
        before += rng.randint(20, 400)
    return ages
