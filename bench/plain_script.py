"""A minimal script: fetch all pages of a history and print one line per message.

It has no retries, state, schema or ordering, and does not detect missing or repeated messages.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import orjson
import requests

LIMIT = 1000


def edna_pages(session: requests.Session, url: str, since: str, until: str) -> Iterator[list[Any]]:
    """Yield the pages of edna's history."""
    offset, more = 0, True
    while more:
        body = {
            "dateFrom": since,
            "dateTo": until,
            "offset": offset,
            "limit": LIMIT,
            "sort": [{"property": "sentOrReceivedAt", "direction": "ASC"}],
        }
        response = orjson.loads(session.post(f"{url}/api/messages/history", json=body).content)
        yield response["content"]
        offset, more = offset + LIMIT, response["hasNext"]


def gateway_pages(session: requests.Session, url: str, since: str, until: str) -> Iterator[list[Any]]:
    """Yield the pages of the gateway's SMS history."""
    page, rows = 0, [None] * LIMIT
    while len(rows) == LIMIT:
        params: dict[str, str | int] = {
            "channel": "SMS",
            "from": since,
            "to": until,
            "page": page,
            "limit": LIMIT,
        }
        response = session.get(f"{url}/api/partner-gateway/v1/messages/history", params=params)
        rows, page = orjson.loads(response.content), page + 1
        yield rows


def main() -> None:
    """Print the history of one vendor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vendor", choices=("edna", "gateway"))
    parser.add_argument("url")
    parser.add_argument("since")
    parser.add_argument("until")
    options = parser.parse_args()
    pages = {"edna": edna_pages, "gateway": gateway_pages}[options.vendor]
    with requests.Session() as session:
        session.headers["x-api-key"] = "any"
        for rows in pages(session, options.url, options.since, options.until):
            for row in rows:
                print(orjson.dumps(row).decode())


if __name__ == "__main__":
    main()
