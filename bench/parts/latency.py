"""Wall clock from a server that takes its time, many requests in flight."""

from __future__ import annotations

from bench.contestants import contestants
from bench.measure import alternate, check
from bench.report import Claim, Section
from bench.scale import Scale
from bench.serving import History, serve

LATENCY_MS = 100
CONCURRENCY = 8
PAGE = 1000
OF_STOCK = 5
OF_BOUND = 1.5
REQUESTS_A_PAGE = 1.3


def run(scale: Scale) -> Section:
    """Measure the stock tap and ours, and count requests."""
    pages = -(-scale.latency // PAGE)
    section = Section(
        "Latency",
        f"{scale.latency:,} edna messages, {LATENCY_MS} ms an answer; ours with `concurrency` {CONCURRENCY}.",
        ["", "wall s", "CPU s", "messages/s", "requests", "requests a page"],
    )
    with serve(History(messages=scale.latency, latency_ms=LATENCY_MS)) as served, contestants() as all_:
        commands = {
            "stock SDK tap": all_.stock(served),
            "tap-msghistory": all_.ours(served, concurrency=CONCURRENCY),
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
    stock, ours = usages.values()
    times = stock.wall_s / ours.wall_s
    least_s = pages / CONCURRENCY * LATENCY_MS / 1000 + ours.cpu_s
    a_page = requests["tap-msghistory"] / pages
    section.claims = [
        Claim(f"At least {OF_STOCK} times the stock tap by wall", f"{times:.1f} times", times >= OF_STOCK),
        Claim(
            f"Wall within {OF_BOUND} times of {LATENCY_MS} ms for every {CONCURRENCY} pages, plus CPU",
            f"{ours.wall_s / least_s:.2f} times ({ours.wall_s:.2f} s of {least_s:.2f} s)",
            ours.wall_s <= OF_BOUND * least_s,
        ),
        Claim(f"At most {REQUESTS_A_PAGE} requests a page", f"{a_page:.2f}", a_page <= REQUESTS_A_PAGE),
    ]
    return section
