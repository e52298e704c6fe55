"""The tap without pauses between the polls of export jobs and between downloads."""

from __future__ import annotations

import json
import re
import sys
from functools import cached_property
from pathlib import Path

from singer_sdk import Stream

from tap_msghistory.streams import PartnerGatewayExportStream
from tap_msghistory.vendors.partner_gateway_export import PartnerGatewayExportSource
from tap_msghistory.vendors.partner_gateway_export.csv_rows import CsvRows
from tap_msghistory.vendors.partner_gateway_export.download import Downloader
from tap_msghistory.vendors.partner_gateway_export.jobs import PollSchedule
from tap_msghistory.vendors.partner_gateway_export.reader import ExportReader
from tests.support import EagerTap


class ImpatientSource(PartnerGatewayExportSource):
    """Polls jobs and repeats downloads without a pause."""

    poll_schedule = PollSchedule(first=0.0)

    @cached_property
    def read_window(self) -> ExportReader:
        return ExportReader(
            client=_NoPause(),  # type: ignore[arg-type] # the reader only pauses
            jobs=self.jobs,
            downloader=Downloader(timeout=self.account.settings.request_timeout),
            rows=CsvRows(self.schema, needed=[{"messageId", self.id_fallback}, {self.replication_key}]),
            normalizer=self.normalizer,
            layout=self.layout,
        )


class ImpatientTap(EagerTap):
    """Polls export jobs and repeats downloads without a pause."""

    def discover_streams(self) -> list[Stream]:
        streams = super().discover_streams()
        for stream in streams:
            if isinstance(stream, PartnerGatewayExportStream):
                stream.source = ImpatientSource(self.account)
        return streams


class _NoPause:
    def pause(self, *_: object) -> None:
        """Return at once."""


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
