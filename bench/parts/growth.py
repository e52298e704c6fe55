"""Memory, requests and offsets as a history grows, is sent in one burst, or is dear to skip through."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bench.contestants import contestants
from bench.measure import Usage, measure
from bench.report import Claim, Section
from bench.scale import Scale
from bench.serving import SINCE, YEAR, Counts, History, serve
from demo.processes import Command

PAGE = 1000
APART = 1.2
PEAK_MIB = 150
BURST_PEAK_MIB = 200
BURST = timedelta(minutes=20)
LARGEST_OFFSET = 20_000
REQUESTS_A_PAGE = 1.3
OFFSET_COST_MS = 1.0


@dataclass(frozen=True, slots=True)
class Run:
    """What one sync took, of the machine and of the server."""

    messages: int
    usage: Usage
    counts: Counts

    @property
    def requests_a_page(self) -> float:
        """Of full pages."""
        return self.counts.requests / -(-self.messages // PAGE)

    @property
    def cost(self) -> float:
        """What skipping rows has cost the server, in ms a message."""
        return self.counts.offset_cost_ms / self.messages

    def cells(self) -> list[str]:
        """Return the figures."""
        return [
            f"{self.usage.peak_mib:.0f}",
            f"{self.usage.wall_s:.1f}",
            f"{self.usage.cpu_s:.1f}",
            f"{self.requests_a_page:.2f}",
            f"{self.counts.largest_offset:,}",
            f"{self.counts.offset_cost_ms:,.0f}",
        ]


def run(scale: Scale) -> Section:
    """Measure the tap on growing histories, and beside the stock tap what its offsets cost a server."""

    def sync(history: History, *, stock: bool = False) -> Run:
        with serve(history) as served, contestants() as all_:
            command: Command = all_.stock(served) if stock else all_.ours(served)
            return Run(history.messages, measure(command), served.counts())

    grown = {f"{count:,}": sync(History(messages=count)) for count in scale.growth}
    burst = sync(History(messages=scale.burst, since=SINCE + YEAR / 2, span=BURST))
    dear = [History(messages=count, offset_cost_ms=OFFSET_COST_MS) for count in scale.offset_cost]
    ours, stock = [sync(history) for history in dear], [sync(history, stock=True) for history in dear]
    runs = {
        **grown,
        f"{scale.burst:,} in 20 minutes": burst,
        **{f"{it.messages:,}, offsets cost": it for it in ours},
        **{f"{it.messages:,}, offsets cost, stock SDK tap": it for it in stock},
    }
    return Section(
        "Growth",
        "edna messages over a year, or all in 20 minutes of it; one run each, with the tap's defaults. Where "
        f"offsets cost, the server needs {OFFSET_COST_MS:g} ms for each 1,000 rows that it skips.",
        ["", "peak MiB", "wall s", "CPU s", "requests a full page", "largest offset", "ms spent on skipping"],
        [[name, *it.cells()] for name, it in runs.items()],
        _claims([*grown.values()], burst, ours, stock),
    )


def _claims(grown: list[Run], burst: Run, ours: list[Run], stock: list[Run]) -> list[Claim]:
    peaks = [it.usage.peak_mib for it in grown]
    largest_offset = max(it.counts.largest_offset for it in (*grown, burst, *ours))
    requests = max(it.requests_a_page for it in (*grown, burst))
    dearer, stock_dearer = (runs[-1].cost / runs[0].cost for runs in (ours, stock))
    return [
        Claim(
            f"Peak memory within {APART - 1:.0%} of each other, under {PEAK_MIB} MiB",
            f"{min(peaks):.0f} to {max(peaks):.0f} MiB",
            max(peaks) <= min(min(peaks) * APART, PEAK_MIB),
        ),
        Claim(
            f"Under {BURST_PEAK_MIB} MiB where all is sent in 20 minutes",
            f"{burst.usage.peak_mib:.0f} MiB",
            burst.usage.peak_mib < BURST_PEAK_MIB,
        ),
        Claim(
            f"Offsets never beyond {LARGEST_OFFSET:,}",
            f"{largest_offset:,}",
            largest_offset <= LARGEST_OFFSET,
        ),
        Claim(
            f"At most {REQUESTS_A_PAGE} requests a full page", f"{requests:.2f}", requests <= REQUESTS_A_PAGE
        ),
        Claim(
            "Where offsets cost, a message of the longer history costs the server no more",
            f"{dearer:.2f} times (the stock tap's: {stock_dearer:.1f} times)",
            dearer <= APART,
        ),
    ]
