"""Decodes a response into the rows of a page.

A response whose rows match the schema exactly is decoded and checked in C, directly into records. Any other
response (a new field, an alias, a value of another type) is normalized row by row, which takes longer.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import repeat
from operator import attrgetter
from typing import Any

import msgspec
from urllib3 import BaseHTTPResponse

from tap_msghistory.http import json_bodies
from tap_msghistory.http.json_bodies import Unreadable
from tap_msghistory.reading.endpoint import HistoryEndpoint
from tap_msghistory.reading.layout import Layout
from tap_msghistory.reading.records import RecordNormalizer, Rejected


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows in the server's order."""

    items: list[Any] = field(default_factory=list)  #: a record (a Struct) or a `Rejected` for each row
    has_next: bool | None = None  #: whether the server indicates more rows; None: unknown
    size: int = 0  #: bytes of the body
    replaced: int = 0  #: characters replaced by U+FFFD

    @property
    def records(self) -> list[Any]:
        """The records among the rows."""
        return [item for item in self.items if type(item) is not Rejected]


class _MismatchError(Exception):
    """A row does not match the schema exactly."""


class PageDecoder:
    """Decodes the responses of one endpoint into records."""

    def __init__(self, *, endpoint: HistoryEndpoint, layout: Layout, normalizer: RecordNormalizer) -> None:
        self._endpoint = endpoint
        self._normalizer = normalizer
        properties = layout.schema["properties"].items()
        times = [name for name, declaration in properties if declaration.get("format") == "date-time"]
        self._times = {name: attrgetter(name) for name in times}
        self._key = [attrgetter(name) for name in normalizer.primary_keys]
        self._record = layout.record_type(from_vendor=True)
        self._exact = msgspec.json.Decoder(endpoint.response_type(self._record))
        self._any = msgspec.json.Decoder(endpoint.response_type(Any))

    def __call__(self, response: BaseHTTPResponse) -> Page:
        """Decode a response. Raises `UnexpectedResponseError` if it is not a page of messages."""
        if response.status == HTTPStatus.NO_CONTENT:
            return Page(has_next=False)
        if json_bodies.is_clean(response):
            try:
                return self._decode_exact(response.data)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, _MismatchError):
                pass
        return self._decode_any(response)

    def _decode_exact(self, body: bytes) -> Page:
        content = self._exact.decode(body)
        rows = self._endpoint.rows(content)
        for name, value_of in self._times.items():
            texts = [*map(value_of, rows)]
            times = self._normalizer.timestamps.column(texts)
            missing = times.count(None)
            if missing and (name == self._normalizer.replication_key or missing != texts.count(None)):
                raise _MismatchError
            deque(map(setattr, rows, repeat(name), times), maxlen=0)  # twice as fast as a loop
        for value_of in self._key:
            if _has_blank([*map(value_of, rows)]):
                raise _MismatchError
        return Page(rows, self._endpoint.has_next(content), len(body))

    def _decode_any(self, response: BaseHTTPResponse) -> Page:
        content, replaced = self._read_any(response)
        items = [*map(self._item, self._endpoint.rows(content))]
        return Page(items, self._endpoint.has_next(content), len(response.data), replaced)

    def _read_any(self, response: BaseHTTPResponse) -> tuple[Any, int]:
        """Return the decoded body, and the number of characters replaced in it."""
        if json_bodies.is_clean(response):
            try:
                content = self._any.decode(response.data)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                pass
            else:
                if not any(map(json_bodies.is_too_deep, self._endpoint.rows(content))):
                    return content, 0
        return json_bodies.read_rows(response, self._any, self._endpoint.rows_member)

    def _item(self, row: Any) -> Any:
        """Return the record of a row, or a `Rejected` with the reason."""
        if type(row) is Unreadable:
            return Rejected({"json": row.text}, row.reason)
        if type(row) is not dict:
            return Rejected({"json": msgspec.json.encode(row).decode()}, "not an object")
        normalized = self._normalizer(row)
        return normalized if isinstance(normalized, Rejected) else self._record(**normalized)


def _has_blank(values: list[Any]) -> bool:
    """Return whether a value of a key is missing; all values have the type of one column."""
    if values and isinstance(values[0], str):
        return None in values or not all(map(str.strip, values))
    return None in values
