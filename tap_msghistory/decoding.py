"""From an answer's bytes to records.

An answer whose rows are just as the schema says is decoded and checked in C, straight into the columns.
Any other (a new field, another spelling, a value of another type) is taken apart row by row; only how long
that takes differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import msgspec

from tap_msghistory.apis import bodies
from tap_msghistory.apis.base import HistoryApi
from tap_msghistory.records import Rejected, Shaper, record_type
from tap_msghistory.retries import Answer

id_of = attrgetter("messageId")


@dataclass(frozen=True, slots=True)
class DecodedPage:
    """A page's records by id, of a message that is in it twice the later one, and how it ends."""

    records: dict[Any, Any]
    rejected: list[Rejected]
    rows: int
    has_next: bool | None


class _MisfitError(Exception):
    """A row is not as the schema says."""


class PageDecoder:
    """Decodes the answers of one series."""

    def __init__(self, *, api: HistoryApi, schema: Mapping[str, Any], shaper: Shaper) -> None:
        """Make Structs with the columns of `schema`, in its order."""
        self._api = api
        self._shaper = shaper
        self.sent_at = attrgetter(shaper.sent_at)  #: returns a record's send time
        times = [name for name, it in schema["properties"].items() if it.get("format") == "date-time"]
        self._times = {name: attrgetter(name) for name in times}
        # A row's own field of the name extraFields is none that the schema knows.
        self._record = record_type(schema, extra_fields=None)
        self._fitting = msgspec.json.Decoder(api.answer_type(self._record))
        self._any = msgspec.json.Decoder(api.answer_type(dict[str, Any]))

    def __call__(self, response: Answer) -> DecodedPage:
        """Decode one response. Raises `UnexpectedAnswerError` where it is no page of messages."""
        try:
            return self._decode_fitting(response.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, _MisfitError):
            return self._decode_any(response)

    def _decode_fitting(self, body: bytes) -> DecodedPage:
        page = self._api.page(self._fitting.decode(body))
        for name, value_of in self._times.items():
            texts = [*map(value_of, page.rows)]
            moments = self._shaper.moments.column(texts)
            if moments.count(None) != texts.count(None):
                raise _MisfitError
            for row, moment in zip(page.rows, moments, strict=True):
                setattr(row, name, moment)
        fallback = self._shaper.id_fallback
        if fallback and None in map(id_of, page.rows):
            for row in page.rows:
                row.messageId = row.messageId or getattr(row, fallback)
        records = {row.messageId: row for row in page.rows}
        if None in records or None in map(self.sent_at, page.rows):
            raise _MisfitError
        return DecodedPage(records, [], len(page.rows), page.has_next)

    def _decode_any(self, response: Answer) -> DecodedPage:
        page = self._api.page(bodies.read(response, self._any))
        records, rejected = {}, []
        for row in page.rows:
            shaped = self._shaper(row)
            if isinstance(shaped, Rejected):
                rejected.append(shaped)
            else:
                records[shaped["messageId"]] = self._record(**shaped)
        return DecodedPage(records, rejected, len(page.rows), page.has_next)
