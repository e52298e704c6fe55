"""Memory, requests and offsets for growing histories, for a burst, and for servers with expensive offsets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bench.commands import temporary_commands
from bench.measure import Usage, measure
from bench.report import Section, Target
from bench.scale import Scale
from bench.serving import SINCE, YEAR, Counts, History, serve

PAGE = 1000
BURST = timedelta(minutes=20)
OFFSET_COST_MS = 1.0
MAX_GROWTH = 1.2
"""Largest figure of the tap divided by its smallest one, for memory and for the cost of offsets."""
MAX_PEAK_MIB = 150
MAX_BURST_PEAK_MIB = 200
MAX_OFFSET = 20_000
MAX_REQUESTS_PER_PAGE = 1.3


@dataclass(frozen=True, slots=True)
class Run:
    """Resource usage of one sync, and the requests that it sent."""

    messages: int
    usage: Usage
    counts: Counts

    @property
    def requests_per_page(self) -> float:
        """Requests per full page of messages."""
        return self.counts.requests / -(-self.messages // PAGE)

    @property
    def offset_cost_ms(self) -> float:
        """Delay for skipped rows, in ms per message."""
        return self.counts.offset_cost_ms / self.messages

    def cells(self) -> list[str]:
        """Return the numbers of the table's row."""
        return [
            f"{self.usage.peak_mib:.0f}",
            f"{self.usage.wall_s:.1f}",
            f"{self.usage.cpu_s:.1f}",
            f"{self.requests_per_page:.2f}",
            f"{self.counts.largest_offset:,}",
            f"{self.counts.offset_cost_ms:,.0f}",
        ]


def run(scale: Scale) -> Section:
    """Measure the tap, and with expensive offsets also the stock tap."""
    growing = {f"{count:,}": _sync(History(messages=count)) for count in scale.growth}
    burst = _sync(History(messages=scale.burst, since=SINCE + YEAR / 2, span=BURST))
    histories = [History(messages=count, offset_cost_ms=OFFSET_COST_MS) for count in scale.offset_cost]
    tap = [_sync(history) for history in histories]
    stock = [_sync(history, stock=True) for history in histories]
    runs = {
        **growing,
        f"{scale.burst:,} in 20 minutes": burst,
        **{f"{run.messages:,}, expensive offsets": run for run in tap},
        **{f"{run.messages:,}, expensive offsets, stock SDK tap": run for run in stock},
    }
    tap_growth, stock_growth = (
        longest.offset_cost_ms / shortest.offset_cost_ms for shortest, *_, longest in (tap, stock)
    )
    finding = (
        "Time for skipped rows per message, longer history relative to the shorter one: "
        f"{tap_growth:.2f} times (stock SDK tap: {stock_growth:.1f} times)"
    )
    return Section(
        "Growth",
        "edna messages over a year, or all within 20 minutes of it; one run each, with the tap's defaults. "
        f"With expensive offsets, the server takes {OFFSET_COST_MS:g} ms per 1,000 skipped rows.",
        [
            "",
            "peak MiB",
            "wall s",
            "CPU s",
            "requests per full page",
            "largest offset",
            "ms for skipped rows",
        ],
        [[name, *run.cells()] for name, run in runs.items()],
        [finding],
        _targets([*growing.values()], burst, tap, tap_growth),
    )


def _sync(history: History, *, stock: bool = False) -> Run:
    with serve(history) as served, temporary_commands() as commands:
        command = commands.stock_tap(served) if stock else commands.tap(served)
        return Run(history.messages, measure(command), served.counts())


def _targets(growing: list[Run], burst: Run, expensive: list[Run], cost_growth: float) -> list[Target]:
    peaks = [run.usage.peak_mib for run in growing]
    largest_offset = max(run.counts.largest_offset for run in (*growing, burst, *expensive))
    requests = max(run.requests_per_page for run in (*growing, burst))
    return [
        Target(
            f"Peak memory grows by at most {MAX_GROWTH - 1:.0%} and is at most {MAX_PEAK_MIB} MiB",
            f"{min(peaks):.0f} to {max(peaks):.0f} MiB",
            max(peaks) <= min(min(peaks) * MAX_GROWTH, MAX_PEAK_MIB),
        ),
        Target(
            f"Peak memory below {MAX_BURST_PEAK_MIB} MiB if all messages are sent within 20 minutes",
            f"{burst.usage.peak_mib:.0f} MiB",
            burst.usage.peak_mib < MAX_BURST_PEAK_MIB,
        ),
        Target(f"Offsets of at most {MAX_OFFSET:,}", f"{largest_offset:,}", largest_offset <= MAX_OFFSET),
        Target(
            f"At most {MAX_REQUESTS_PER_PAGE} requests per full page",
            f"{requests:.2f}",
            requests <= MAX_REQUESTS_PER_PAGE,
        ),
        Target(
            f"Offset cost per message grows by at most {MAX_GROWTH - 1:.0%} with the history",
            f"{cost_growth:.2f} times",
            cost_growth <= MAX_GROWTH,
        ),
    ]
