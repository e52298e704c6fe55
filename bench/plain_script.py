"""The least that a script can do: fetch page after page, and print a line a message. No more.

No retries, no state, no schema, no order: what is lost or sent twice stays so.
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
        answer = orjson.loads(session.post(f"{url}/api/messages/history", json=body).content)
        yield answer["content"]
        offset, more = offset + LIMIT, answer["hasNext"]


def gateway_pages(session: requests.Session, url: str, since: str, until: str) -> Iterator[list[Any]]:
    """Yield the pages of the gateway's SMS."""
    page, rows = 0, [None] * LIMIT
    while len(rows) == LIMIT:
        params: dict[str, str | int] = {
            "channel": "SMS",
            "from": since,
            "to": until,
            "page": page,
            "limit": LIMIT,
        }
        answer = session.get(f"{url}/api/partner-gateway/v1/messages/history", params=params)
        rows, page = orjson.loads(answer.content), page + 1
        yield rows


def main() -> None:
    """Print a history."""
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
