"""The stream of exported messages."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, ClassVar

from tap_msghistory.planning.windows import Window
from tap_msghistory.reading.source import HistorySource
from tap_msghistory.stats import WindowStats
from tap_msghistory.vendors.partner_gateway import PARTNER_GATEWAY, PartnerGatewayHistorySource
from tap_msghistory.vendors.partner_gateway_export.csv_rows import CsvParser
from tap_msghistory.vendors.partner_gateway_export.download import Downloader
from tap_msghistory.vendors.partner_gateway_export.endpoint import PartnerGatewayExportEndpoint
from tap_msghistory.vendors.partner_gateway_export.jobs import POLL_SCHEDULE, ExportJobs, PollSchedule
from tap_msghistory.vendors.partner_gateway_export.reader import ExportReader

_CHANNEL_SCHEMA = PartnerGatewayHistorySource.schema
_SCHEMA = {
    **_CHANNEL_SCHEMA,
    "required": [*_CHANNEL_SCHEMA["required"], "channel"],
    "properties": {
        **_CHANNEL_SCHEMA["properties"],
        "channel": {**_CHANNEL_SCHEMA["properties"]["channel"], "type": "string"},
    },
    "description": "Messages of all channels from the partner gateway's CSV export. Includes only "
    "messages sent through the API, not those of campaigns or of the web console.",
}


class PartnerGatewayExportSource(HistorySource):
    """Messages of all channels that were sent through the API, read from CSV exports."""

    name = "partner_gateway_history_export"
    schema = _SCHEMA
    #: A file contains messages of several channels, each with its own identifiers.
    primary_keys = ("messageId", "channel")
    replication_key = PartnerGatewayHistorySource.replication_key
    vendor = PARTNER_GATEWAY
    enabled_by = "partner_gateway_export"
    distinguished_by = PartnerGatewayHistorySource.distinguished_by
    id_fallback = PartnerGatewayHistorySource.id_fallback
    #: The vendor advises against ranges of months.
    max_span = timedelta(days=30)
    #: If a response does not identify a job, a process could mistake another process's job for its own.
    max_processes = 1
    #: The schedule of polls for jobs.
    poll_schedule: ClassVar[PollSchedule] = POLL_SCHEDULE

    @property
    def workers(self) -> int:
        """The number of concurrent jobs."""
        return self.account.settings.export_concurrency

    @cached_property
    def jobs(self) -> ExportJobs:
        """The account's export jobs, narrowed by the settings."""
        config = self.account.config
        filters = {name: config.get(f"partner_gateway_export_{name}") for name in ("sender", "recipient")}
        return ExportJobs(
            endpoint=PartnerGatewayExportEndpoint(
                self.vendor.base_url(config), {name: value for name, value in filters.items() if value}
            ),
            client=self.client,
            timeout=self.account.settings.export_timeout,
            poll_schedule=self.poll_schedule,
        )

    @cached_property
    def read_window(self) -> ExportReader:
        """The reader of single windows."""
        return ExportReader(
            client=self.client,
            jobs=self.jobs,
            downloader=Downloader(timeout=self.account.settings.request_timeout),
            parser=CsvParser(self.schema, required=[{"messageId", self.id_fallback}, {self.replication_key}]),
            normalizer=self.normalizer,
            layout=self.layout,
        )

    @cached_property
    def sampler(self) -> ExportSampler:
        """Checks that do not queue a job."""
        return ExportSampler(self.jobs)


class ExportSampler:
    """Lists jobs, which checks the credentials without queueing a job."""

    def __init__(self, jobs: ExportJobs) -> None:
        self._jobs = jobs

    def check(self, window: Window) -> str:  # noqa: ARG002
        """List the jobs."""
        self._jobs.list_jobs(WindowStats())
        return "ok, export jobs can be listed"

    def sample(self, window: Window) -> list[Any]:  # noqa: ARG002
        """List the jobs, and return no records."""
        self._jobs.list_jobs(WindowStats())
        return []

    def estimate(self, window: Window, stats: WindowStats) -> float | None:  # noqa: ARG002
        """Return None: the number of messages is known only once a file has been read."""
        return None

    def accepts(self, moment: datetime) -> bool:  # noqa: ARG002
        """Return True: it is unknown."""
        return True
