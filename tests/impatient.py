"""The tap without pauses between the polls of export jobs and between downloads."""

from __future__ import annotations

import json
import re
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

from singer_sdk import Stream

from tap_msghistory.http.client import Client
from tap_msghistory.stats import WindowStats
from tap_msghistory.streams import PartnerGatewayExportStream
from tap_msghistory.vendors.partner_gateway_export import PartnerGatewayExportSource
from tests.support import EagerTap


class ImpatientClient:
    """A client that does not pause between polls and between downloads. Retries of requests still wait."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def pause(self, _seconds: float, stats: WindowStats) -> None:
        self._client.pause(0.0, stats)


class ImpatientSource(PartnerGatewayExportSource):
    """Polls jobs and repeats downloads without a pause."""

    @cached_property
    def client(self) -> Any:
        return ImpatientClient(super().client)


class ImpatientTap(EagerTap):
    """Polls export jobs and repeats downloads without a pause."""

    def discover_streams(self) -> list[Stream]:
        streams = super().discover_streams()
        for stream in streams:
            if isinstance(stream, PartnerGatewayExportStream):
                stream.history_sync.source = ImpatientSource(self.account)
        return streams


def main() -> None:
    """Sync with the settings on stdin, and print the peak memory in kB to stderr.

    `getrusage` would also count the memory of the process before it executed this program.
    """
    given = json.load(sys.stdin)
    ImpatientTap(config=given["config"], catalog=given["catalog"]).sync_all()
    (peak,) = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    print(peak, file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    main()
