"""The dlt source: one resource per stream, all fed by one reader."""

from __future__ import annotations

from typing import Any

import dlt
import pyarrow as pa
from dlt.extract import DltResource, DltSource

from tap_msghistory.config.account import Account
from tap_msghistory.dlt.reading import Tables, read
from tap_msghistory.dlt.settings import resolve
from tap_msghistory.syncing.declarations import StreamDeclaration
from tap_msghistory.syncing.ledger import SYNC_WINDOWS
from tap_msghistory.syncing.rejections import REJECTED_MESSAGES
from tap_msghistory.syncing.run import SyncRun


class MessageHistory(DltSource):
    """Message histories, each message with its latest status."""

    def with_resources(self, *resource_names: str) -> DltSource:
        """Return a source with only these resources selected, and `rejected_messages` and `sync_windows`.

        To leave out one of the latter, set its `selected` to False.
        """
        auxiliary = (REJECTED_MESSAGES.name, SYNC_WINDOWS.name)
        kept = [name for name in auxiliary if self.resources[name].selected]
        return super().with_resources(*resource_names, *kept)


@dlt.source(name="msghistory", section="msghistory", max_table_nesting=0, _impl_cls=MessageHistory)
def message_history(**settings: Any) -> list[DltResource]:
    """Return the message histories of the vendors whose credentials are set.

    `settings` have the names of the tap's settings. Those that are not given are read from dlt's
    configuration, section `sources.msghistory`. Raises `TapError` if a setting is not valid.
    """
    account = Account(resolve(settings))
    reader = dlt.resource(read, name="message_windows", selected=False)(account)
    # Only for its declarations: each extraction is a run of its own.
    return [_resource(reader, stream) for stream in SyncRun(account).streams]


def _resource(reader: DltResource, stream: StreamDeclaration) -> DltResource:
    """Return the resource of one stream, which takes its rows from the reader's tables."""

    def select(tables: Tables) -> pa.Table | None:
        return tables.get(stream.name)

    return dlt.transformer(
        select,
        data_from=reader,
        name=stream.name,
        primary_key=stream.primary_keys,
        write_disposition="merge",
        file_format="parquet",  # dlt uses another format where the destination does not accept it
        columns=[
            {"name": column, "description": declaration["description"]}
            for column, declaration in stream.schema["properties"].items()
        ],
    )
