"""Both vendors' message histories, as fast as Python serves them. It only serves the benchmarks.

`python -m bench.server --messages 200000` prints its URL once it listens. It knows what the tap and the
contestants send and refuses nothing; the sandbox is the server that is true to the vendors' pages.
"""

from __future__ import annotations

import argparse
import asyncio
import re
from contextlib import suppress
from typing import cast
from urllib.parse import parse_qs

import msgspec

from bench.messages import Rows, Spread, edna_rows, gateway_rows
from bench.serving import HOST, Counts
from msghistory_sandbox.times import parse_ms

BACKLOG = 128
PAGE_ROWS = 100
"""A request for fewer rows is counted as a probe."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Sort(msgspec.Struct):
    """One of edna's sort criteria; by whatever property, the order is that of the send times."""

    direction: str = "DESC"


class EdnaQuery(msgspec.Struct, rename="camel"):
    """The body of a request to edna."""

    date_from: str
    date_to: str
    limit: int
    offset: int = 0
    sort: tuple[Sort, ...] = ()


class Histories:
    """Answers requests."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Make the messages; see `main` for the options."""
        spread = Spread(options.messages, options.since_ms, options.span_ms)
        self._edna, self._gateway = edna_rows(spread), gateway_rows(spread)
        self._options = options
        self._counts = Counts()

    def answer(self, target: str, body: bytes) -> tuple[bytes, float]:
        """Return the body of the answer to a request, and the seconds to wait before it is sent."""
        if target == "/counts":
            counts, self._counts = self._counts, Counts()
            return msgspec.json.encode(counts), 0
        path, _, query = target.partition("?")
        if path == "/api/messages/history":
            asked = msgspec.json.decode(body, type=EdnaQuery)
            newest_first = not asked.sort or asked.sort[0].direction == "DESC"
            found = _found(self._edna, asked.date_from, asked.date_to, newest_first=newest_first)
            page = found[asked.offset : asked.offset + asked.limit]
            more = b"true" if asked.offset + len(page) < len(found) else b"false"
            answer = b'{"content":[%b],"hasNext":%b}' % (self._edna.page(page), more)
            return answer, self._count(asked.offset, asked.limit, len(page))
        params = {name: values[0] for name, values in parse_qs(query).items()}
        limit = int(params["limit"])
        offset = int(params["page"]) * limit
        newest_first = not self._options.oldest_first
        found = _found(self._gateway, params["from"], params["to"], newest_first=newest_first)
        page = found[offset : offset + limit] if params["channel"] == "SMS" else range(0)
        return b"[%b]" % self._gateway.page(page), self._count(offset, limit, len(page))

    def _count(self, offset: int, limit: int, rows: int) -> float:
        """Count a request, and return the seconds that it takes."""
        cost_ms = self._options.offset_cost_ms * offset / 1000
        counts = self._counts
        counts.requests += 1
        counts.probes += limit < PAGE_ROWS
        counts.rows += rows
        counts.largest_offset = max(counts.largest_offset, offset)
        counts.offset_cost_ms += cost_ms
        return float(self._options.latency_ms + cost_ms) / 1000


class Connection(asyncio.Protocol):
    """A kept connection; its requests come one after another."""

    def __init__(self, histories: Histories) -> None:
        """Answer from `histories`."""
        self._histories = histories
        self._received = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer once a request is whole."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or len(body) < (int(length[1]) if length else 0):
            return
        self._received = b""
        answer, wait = self._histories.answer(head.split(b" ", 2)[1].decode(), body)
        if wait:
            asyncio.get_running_loop().call_later(wait, self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: bytes) -> None:
        self._transport.write(_HEAD % len(answer) + answer)


def _found(rows: Rows, since: str, until: str, *, newest_first: bool) -> range:
    found = rows.spread.between(parse_ms(since), parse_ms(until))
    return found[::-1] if newest_first else found


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, required=True, help="of edna and of the gateway's SMS, each")
    parser.add_argument("--since-ms", type=int, required=True, help="epoch ms after which they are sent")
    parser.add_argument("--span-ms", type=int, required=True, help="the time over which they are spread")
    parser.add_argument("--latency-ms", type=float, default=0, help="before each answer")
    parser.add_argument("--offset-cost-ms", type=float, default=0, help="more for each 1000 rows skipped")
    parser.add_argument("--oldest-first", action="store_true", help="order of the gateway's rows")
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(Histories(parser.parse_args())))


async def _serve(histories: Histories) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(histories), HOST, backlog=BACKLOG)
    print(f"http://{HOST}:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    main()
