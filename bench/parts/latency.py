"""Wall time and requests with a slow server and many requests in flight."""

from __future__ import annotations

from bench.commands import temporary_commands
from bench.measure import alternate, check
from bench.report import Section, Target
from bench.scale import Scale
from bench.serving import History, serve

LATENCY_MS = 100
CONCURRENCY = 8
PAGE = 1000
MIN_SPEEDUP = 5
"""Over the stock tap, in wall time."""
MAX_BOUND_RATIO = 1.5
"""Wall time divided by its lower bound."""
MAX_REQUESTS_PER_PAGE = 1.3


def run(scale: Scale) -> Section:
    """Measure the stock tap and the tap, and count requests."""
    pages = -(-scale.latency // PAGE)
    section = Section(
        "Latency",
        f"{scale.latency:,} edna messages, {LATENCY_MS} ms per response; tap-msghistory with `concurrency` "
        f"{CONCURRENCY}.",
        ["", "wall s", "CPU s", "messages/s", "requests", "requests per page"],
    )
    with (
        serve(History(messages=scale.latency, latency_ms=LATENCY_MS)) as served,
        temporary_commands() as available,
    ):
        commands = {
            "stock SDK tap": available.stock_tap(served),
            "tap-msghistory": available.tap(served, concurrency=CONCURRENCY),
        }
        requests = {}
        for name, command in commands.items():
            check(command, scale.latency)
            requests[name] = served.counts().requests
        usages = alternate(commands, scale.repetitions)
    for name, usage in usages.items():
        section.rows.append(
            [
                name,
                f"{usage.wall_s:.2f}",
                f"{usage.cpu_s:.2f}",
                f"{scale.latency / usage.wall_s:,.0f}",
                f"{requests[name]}",
                f"{requests[name] / pages:.2f}",
            ]
        )
    stock, tap = usages.values()
    speedup = stock.wall_s / tap.wall_s
    bound_s = pages / CONCURRENCY * LATENCY_MS / 1000 + tap.cpu_s
    bound_ratio = tap.wall_s / bound_s
    requests_per_page = requests["tap-msghistory"] / pages
    section.findings = [
        f"Stock SDK tap relative to tap-msghistory: {speedup:.1f} times by wall",
        f"Lower bound of the wall time, {LATENCY_MS} ms per {CONCURRENCY} pages plus CPU: {bound_s:.2f} s",
        f"tap-msghistory relative to the lower bound: {bound_ratio:.2f} times by wall",
    ]
    section.targets = [
        Target(
            f"At least {MIN_SPEEDUP} times as fast as the stock tap, by wall time",
            f"{speedup:.1f} times",
            speedup >= MIN_SPEEDUP,
        ),
        Target(
            f"Wall time at most {MAX_BOUND_RATIO} times its lower bound",
            f"{bound_ratio:.2f} times",
            bound_ratio <= MAX_BOUND_RATIO,
        ),
        Target(
            f"At most {MAX_REQUESTS_PER_PAGE} requests per page",
            f"{requests_per_page:.2f}",
            requests_per_page <= MAX_REQUESTS_PER_PAGE,
        ),
    ]
    return section
