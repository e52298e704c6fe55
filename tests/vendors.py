"""A minimal server of both vendors' histories that misbehaves. It shares no code with tap or sandbox."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate
from typing import Any
from urllib.parse import parse_qs, urlsplit

Row = dict[str, Any]
END = datetime(2024, 11, 3, 12, tzinfo=timezone.utc)


def edna_row(number: float, sent: datetime, **fields: Any) -> Row:
    """Return a message in the form of edna's API."""
    return {"messageId": number, "direction": "OUT", "sentOrReceivedAt": sent.isoformat(), **fields}


def gateway_row(number: int, sent: datetime, **fields: Any) -> Row:
    """Return a message in the form of the gateway's API."""
    return {"messageId": f"id {number}", "destination": f"39{number}", "sendDate": sent.isoformat(), **fields}


def spread(count: int, span: timedelta, *, end: datetime = END) -> list[datetime]:
    """Return evenly spaced send times, oldest first; the last is a second before `end`."""
    return [end - timedelta(seconds=1) - span * (number / count) for number in reversed(range(count))]


@cache
def parse(text: str) -> datetime:
    return datetime.fromisoformat(text)


@dataclass
class Vendor:
    """A history and the ways in which its server misbehaves. Hooks may change it between requests."""

    rows: list[Row] = field(default_factory=list)
    newest_first: bool = True  #: the gateway's order
    #: Returns whether a range selects a row; the default uses the send time, with inclusive bounds.
    selects: Callable[[datetime, datetime, datetime], bool] = lambda sent, start, end: start <= sent <= end
    max_rows: int | None = None  #: the maximum number of rows per query
    page_cap: Callable[[int], int] = lambda _request: 10**9  #: the maximum page size, by request number
    page_bytes: int | None = None
    skip_by_cap: bool = True  #: whether page numbers count capped pages
    before_request: Callable[[int], None] = lambda _request: None
    answer: Callable[[list[Row], bool], Any] | None = None  #: replaces edna's body
    status: Callable[[datetime, datetime], int] = lambda _start, _end: 200
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)
    _listed: list[Row] = field(default_factory=list)
    _selected: dict[tuple[str, str], list[Row]] = field(default_factory=dict)

    def settings(self, **settings: Any) -> dict[str, Any]:
        """Return settings to read this server as edna."""
        return {
            "edna_api_key": "key",
            "edna_base_url": self.url,
            "start_date": (END - timedelta(days=90)).isoformat(),
            "end_date": END.isoformat(),
            "max_retry_seconds": 10,
            **settings,
        }

    def gateway_settings(self, **settings: Any) -> dict[str, Any]:
        """Return settings to read this server as the gateway."""
        gateway = {"partner_gateway_api_key": "key", "partner_gateway_base_url": f"{self.url}/api"}
        limits = {"partner_gateway_requests_per_second": 10_000, "partner_gateway_requests_per_minute": 10**6}
        return self.settings(**{"edna_api_key": None, **gateway, **limits, **settings})

    def select(self, start: str, end: str, replication_key: str) -> list[Row]:
        """Return the rows of a range; cached until the rows change."""
        if self._listed != self.rows:
            self._listed = [*self.rows]
            self._selected.clear()
        if (start, end) not in self._selected:
            bounds = datetime.fromisoformat(start), datetime.fromisoformat(end)
            self._selected[start, end] = [
                row for row in self.rows if self.selects(parse(row[replication_key]), *bounds)
            ]
        return self._selected[start, end]

    def respond(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Any]:
        parts = urlsplit(handler.path)
        with self.lock:
            number = len(self.requests)
            self.before_request(number)
            if handler.command == "POST":
                return self._edna(number, json.loads(body))
            if not parts.path.endswith("/messages/history"):
                return 200, []
            return self._gateway(number, {name: values[0] for name, values in parse_qs(parts.query).items()})

    def _edna(self, number: int, query: dict[str, Any]) -> tuple[int, Any]:
        self.requests.append(query)
        status = self._status(query["dateFrom"], query["dateTo"])
        if status != 200:
            return status, {"error": "date-range-not-valid"}
        key = query["sort"][0]["property"]
        found = sorted(
            self.select(query["dateFrom"], query["dateTo"], "sentOrReceivedAt"), key=lambda row: row[key]
        )
        found = found[: self.max_rows]
        limit = min(query["limit"], self.page_cap(number))
        page = found[query["offset"] : query["offset"] + limit]
        more = query["offset"] + len(page) < len(found)
        return 200, self.answer(page, more) if self.answer else {"content": page, "hasNext": more}

    def _gateway(self, number: int, query: dict[str, str]) -> tuple[int, Any]:
        self.requests.append(query)
        status = self._status(query["from"], query["to"])
        if status != 200 or query["channel"] != "SMS":
            return status, []
        found = self.select(query["from"], query["to"], "sendDate")
        found = (found[::-1] if self.newest_first else found)[: self.max_rows]
        requested = int(query["limit"])
        limit = min(requested, self.page_cap(number))
        start = int(query["page"]) * (limit if self.skip_by_cap else requested)
        page = found[start : start + limit]
        return 200, self._cut(page) if self.page_bytes else page

    def _cut(self, page: list[Row]) -> list[Row]:
        sizes = accumulate(len(json.dumps(row)) for row in page)
        fitting = sum(size <= (self.page_bytes or 0) for size in sizes)
        return page[: max(fitting, 1)]

    def _status(self, start: str, end: str) -> int:
        return self.status(datetime.fromisoformat(start), datetime.fromisoformat(end))

    @contextmanager
    def serve(self) -> Iterator[Vendor]:
        """Serve on loopback until the block ends."""
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each response would wait 40 ms for an ACK

            def do_POST(self) -> None:
                self.respond()

            def do_GET(self) -> None:
                self.respond()

            def respond(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, value = vendor.respond(self, body)
                content = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response_only(status)
                date = self.date_time_string()
                for name, text in {
                    "Content-Type": "application/json",
                    "Date": date,
                    **vendor.headers,
                }.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Log nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
