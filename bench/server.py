"""A fast HTTP server with both vendors' message histories, for the benchmarks only.

`python -m bench.server --messages 200000 ...` prints its URL once it listens. It supports only the requests
that the measured commands send and validates nothing; the sandbox is the server that follows the vendors'
documentation.
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
MIN_PAGE_ROWS = 100
"""Requests for fewer rows are counted as probes."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Sort(msgspec.Struct):
    """A sort criterion of edna. Rows are always sorted by send time, whatever its property."""

    direction: str = "DESC"


class EdnaQuery(msgspec.Struct, rename="camel"):
    """Body of a request to edna."""

    date_from: str
    date_to: str
    limit: int
    offset: int = 0
    sort: tuple[Sort, ...] = ()


class Histories:
    """Both histories and the request handler; see `main` for the options."""

    def __init__(self, options: argparse.Namespace) -> None:
        spread = Spread(options.messages, options.since_ms, options.span_ms)
        self._edna, self._gateway = edna_rows(spread), gateway_rows(spread)
        self._options = options
        self._counts = Counts()

    def respond(self, target: str, body: bytes) -> tuple[bytes, float]:
        """Return the response body for a request, and the seconds to wait before sending it."""
        if target == "/counts":
            counts, self._counts = self._counts, Counts()
            return msgspec.json.encode(counts), 0
        path, _, query_string = target.partition("?")
        if path == "/api/messages/history":
            query = msgspec.json.decode(body, type=EdnaQuery)
            newest_first = not query.sort or query.sort[0].direction == "DESC"
            found = _found(self._edna, query.date_from, query.date_to, newest_first=newest_first)
            page = found[query.offset : query.offset + query.limit]
            more = b"true" if query.offset + len(page) < len(found) else b"false"
            response = b'{"content":[%b],"hasNext":%b}' % (self._edna.page(page), more)
            return response, self._count(query.offset, query.limit, len(page))
        params = {name: values[0] for name, values in parse_qs(query_string).items()}
        limit = int(params["limit"])
        offset = int(params["page"]) * limit
        newest_first = not self._options.oldest_first
        found = _found(self._gateway, params["from"], params["to"], newest_first=newest_first)
        page = found[offset : offset + limit] if params["channel"] == "SMS" else range(0)
        return b"[%b]" % self._gateway.page(page), self._count(offset, limit, len(page))

    def _count(self, offset: int, limit: int, rows: int) -> float:
        """Count a request, and return the delay of its response in seconds."""
        cost_ms = self._options.offset_cost_ms * offset / 1000
        counts = self._counts
        counts.requests += 1
        counts.probes += limit < MIN_PAGE_ROWS
        counts.rows += rows
        counts.largest_offset = max(counts.largest_offset, offset)
        counts.offset_cost_ms += cost_ms
        return float(self._options.latency_ms + cost_ms) / 1000


class Connection(asyncio.Protocol):
    """A keep-alive connection without pipelining."""

    def __init__(self, histories: Histories) -> None:
        self._histories = histories
        self._received = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Respond as soon as a request is complete."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or len(body) < (int(length[1]) if length else 0):
            return
        self._received = b""
        response, wait = self._histories.respond(head.split(b" ", 2)[1].decode(), body)
        if wait:
            asyncio.get_running_loop().call_later(wait, self._send, response)
        else:
            self._send(response)

    def _send(self, response: bytes) -> None:
        self._transport.write(_HEAD % len(response) + response)


def _found(rows: Rows, since: str, until: str, *, newest_first: bool) -> range:
    found = rows.spread.between(parse_ms(since), parse_ms(until))
    return found[::-1] if newest_first else found


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--messages",
        type=int,
        required=True,
        help="number of messages in each of edna's history and the gateway's SMS history",
    )
    parser.add_argument(
        "--since-ms", type=int, required=True, help="epoch ms after which the messages were sent"
    )
    parser.add_argument(
        "--span-ms", type=int, required=True, help="period in ms over which the send times are distributed"
    )
    parser.add_argument("--latency-ms", type=float, default=0, help="delay of each response")
    parser.add_argument(
        "--offset-cost-ms", type=float, default=0, help="additional delay per 1000 skipped rows"
    )
    parser.add_argument(
        "--oldest-first", action="store_true", help="sort the gateway's rows in ascending order"
    )
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve(Histories(parser.parse_args())))


async def _serve(histories: Histories) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(histories), HOST, backlog=BACKLOG)
    print(f"http://{HOST}:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    main()
