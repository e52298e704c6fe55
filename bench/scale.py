"""Numbers of messages and repetitions: for published figures, and for a quick functional check."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers of messages and repetitions. The result of repeated runs is their median."""

    repetitions: int
    cpu: int
    latency: int
    growth: tuple[int, ...]
    burst: int
    offset_cost: tuple[int, int]
    start_repetitions: int
    pipe: int
    revisits: int
    spark: int


FULL = Scale(
    repetitions=5,
    cpu=200_000,
    latency=100_000,
    growth=(50_000, 400_000, 2_000_000),
    burst=200_000,
    offset_cost=(50_000, 200_000),
    start_repetitions=9,
    pipe=50_000,
    revisits=30_000,
    spark=400_000,
)
QUICK = Scale(
    repetitions=1,
    cpu=20_000,
    latency=20_000,
    growth=(20_000, 100_000),
    burst=50_000,
    offset_cost=(10_000, 40_000),
    start_repetitions=3,
    pipe=5_000,
    revisits=3_000,
    spark=40_000,
)
