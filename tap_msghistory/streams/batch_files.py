"""BATCH files of JSON lines. The SDK's own batcher compresses them regardless of `batch_config`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from singer_sdk.batch import BaseBatcher, Batcher, lazy_chunked_generator
from singer_sdk.singerlib.json import serialize_json

if TYPE_CHECKING:
    from singer_sdk.helpers._batch import BatchConfig


def get_batcher(tap: str, stream: str, batch_config: BatchConfig) -> BaseBatcher:
    """Return the batcher for the encoding of `batch_config`."""
    encoding = batch_config.encoding
    is_plain = encoding.format == "jsonl" and encoding.compression != "gzip"
    return (PlainLinesBatcher if is_plain else Batcher)(tap, stream, batch_config)


class PlainLinesBatcher(BaseBatcher):
    """Writes JSON lines without compression."""

    def get_batches(self, records: Iterator[dict[str, Any]]) -> Iterator[list[str]]:
        """Yield a list with the URL of each file."""
        storage = self.batch_config.storage
        name = f"{storage.prefix or ''}{self.tap_name}--{self.stream_name}-{uuid4()}"
        chunks = lazy_chunked_generator(records, self.batch_config.batch_size)
        for number, chunk in enumerate(chunks, start=1):
            file_name = f"{name}-{number}.json"
            with storage.open(file_name, "wb") as file:
                file.writelines(f"{serialize_json(record)}\n".encode() for record in chunk)
            yield [storage.get_url(file_name)]
