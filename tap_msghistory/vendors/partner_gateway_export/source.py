"""The partner gateway's asynchronous export: all channels in one file, a job a window."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tap_msghistory.planning.windows import Window
from tap_msghistory.reading.records import Identity
from tap_msghistory.reading.source import MessageHistory, Watch
from tap_msghistory.reading.window_rows import Batch
from tap_msghistory.schemas import SCHEMAS
from tap_msghistory.stats import Effort
from tap_msghistory.vendors.partner_gateway_export.csv_rows import CsvRows
from tap_msghistory.vendors.partner_gateway_export.download import Downloader
from tap_msghistory.vendors.partner_gateway_export.endpoint import PartnerGatewayExport
from tap_msghistory.vendors.partner_gateway_export.jobs import PATIENCE, ExportJobs, Patience
from tap_msghistory.vendors.partner_gateway_export.reader import ExportReader

if TYPE_CHECKING:
    from tap_msghistory.http.client import Client

_SCHEMA = SCHEMAS.get_schema("partner_gateway_message")


class ExportedMessages(MessageHistory):
    """Messages of all channels that were sent through the API; no others."""

    name = "partner_gateway_history_export"
    schema: Mapping[str, Any] = {
        **_SCHEMA,
        "required": [*_SCHEMA["required"], "channel"],
        "properties": {
            **_SCHEMA["properties"],
            "channel": {**_SCHEMA["properties"]["channel"], "type": "string"},
        },
        "description": "Messages of all channels, by the partner gateway's CSV export: only those that were "
        "sent through the API. Messages of campaigns and of the web console are left out.",
    }
    sent_at = "sendDate"
    id_fallback = "customerMessageId"
    #: A file mixes channels, each of which has identifiers of its own, chosen by senders.
    identity = Identity(
        key=("messageId", "channel"), message=("messageId", "channel", "destination", "sendDate")
    )
    #: The vendor advises against ranges of months.
    max_span = timedelta(days=30)
    #: Where no answer tells whose a job is, one process could take another's for its own.
    most_readers = 1
    #: How jobs are looked for.
    patience: Patience = PATIENCE

    @property
    def client(self) -> Client:
        """The client that holds the gateway's credentials."""
        return self.account.partner_gateway_client

    @cached_property
    def jobs(self) -> ExportJobs:
        """The account's export jobs, narrowed by the settings."""
        config = self.account.config
        filters = {it: config.get(f"partner_gateway_export_{it}") for it in ("sender", "recipient")}
        return ExportJobs(
            api=PartnerGatewayExport(
                config["partner_gateway_base_url"].rstrip("/"),
                {name: value for name, value in filters.items() if value},
            ),
            client=self.client,
            timeout=self.account.settings.export_timeout,
            patience=self.patience,
        )

    def sample(self, window: Window) -> list[Any]:  # noqa: ARG002
        """Return nothing; listing jobs shows that the credentials work without queueing one."""
        self.jobs.listed(Effort())
        return []

    def check(self, window: Window) -> str:  # noqa: ARG002
        """List the jobs, which shows that the credentials work without queueing one."""
        self.jobs.listed(Effort())
        return "ok, export jobs can be listed"

    def read_windows(self, windows: list[Window], watch: Watch) -> Iterator[Batch]:
        """Have up to `export_concurrency` jobs at once, and yield a window's messages in several batches."""
        settings = self.account.settings
        reader = ExportReader(
            client=self.client,
            jobs=self.jobs,
            downloader=Downloader(timeout=settings.request_timeout),
            rows=CsvRows(self.schema, needed=[{"messageId", self.id_fallback}, {self.sent_at}]),
            shaper=self.get_shaper(),
            layout=self.layout,
        )
        for export in self.side_by_side(windows, reader.read, settings.export_concurrency, watch):
            yield from export.batches()
