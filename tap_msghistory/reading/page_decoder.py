"""From a response to the rows of a page.

A response whose rows are just as the schema says is decoded and checked in C, straight into the columns.
Any other (a new field, another spelling, a value of another type) is taken apart row by row; only how long
that takes differs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import repeat
from operator import attrgetter
from typing import Annotated, Any

import msgspec

from tap_msghistory.http import json_bodies as bodies
from tap_msghistory.http.json_bodies import Unreadable
from tap_msghistory.http.retries import Answer
from tap_msghistory.reading.endpoint import HistoryApi, Page
from tap_msghistory.reading.records import Identity, Rejected, Shaper, record_type

_NOTHING: Any = Annotated[str, msgspec.Meta(pattern="(?!)")]


@dataclass(frozen=True, slots=True)
class DecodedPage:
    """A page's rows in the server's order, and how it ends."""

    items: list[Any] = field(default_factory=list)  #: a record (a Struct) or a `Rejected` for each row
    has_next: bool | None = None  #: None: the server does not say
    size: int = 0  #: bytes of the body
    replaced: int = 0  #: characters that were replaced by U+FFFD

    @property
    def records(self) -> list[Any]:
        """The records among the rows."""
        return [item for item in self.items if type(item) is not Rejected]


class _MisfitError(Exception):
    """A row is not as the schema says."""


class PageDecoder:
    """Decodes the responses of one series."""

    def __init__(
        self, *, api: HistoryApi, schema: Mapping[str, Any], shaper: Shaper, identity: Identity
    ) -> None:
        """Make Structs with the columns of `schema`, in its order."""
        self._api = api
        self._shaper = shaper
        self.sent_at = attrgetter(shaper.sent_at)  #: returns a record's send time
        times = [name for name, it in schema["properties"].items() if it.get("format") == "date-time"]
        self._times = {name: attrgetter(name) for name in times}
        self._key = [attrgetter(name) for name in identity.key]
        # A row's own field of the name extraFields is none that the schema knows: no value fits.
        self._record = record_type(schema, extra_fields=_NOTHING)
        self._fitting = msgspec.json.Decoder(api.answer_type(self._record))
        self._any = msgspec.json.Decoder(api.answer_type(Any))

    def __call__(self, response: Answer) -> DecodedPage:
        """Decode one response. Raises `UnexpectedAnswerError` where it is no page of messages."""
        if response.status == HTTPStatus.NO_CONTENT:
            return DecodedPage(has_next=False)
        if bodies.is_clean(response):
            try:
                return self._decode_fitting(response.body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, _MisfitError):
                pass
        return self._decode_any(response)

    def _decode_fitting(self, body: bytes) -> DecodedPage:
        page = self._api.page(self._fitting.decode(body))
        rows = page.rows
        for name, value_of in self._times.items():
            texts = [*map(value_of, rows)]
            moments = self._shaper.moments.column(texts)
            missing = moments.count(None)
            if missing and (name == self._shaper.sent_at or missing != texts.count(None)):
                raise _MisfitError
            deque(map(setattr, rows, repeat(name), moments), maxlen=0)  # a loop would take twice as long
        for value_of in self._key:
            if _has_blank([*map(value_of, rows)]):
                raise _MisfitError
        return DecodedPage(rows, page.has_next, len(body))

    def _decode_any(self, response: Answer) -> DecodedPage:
        page, replaced = self._page_of_any(response)
        items = [*map(self._item, page.rows)]
        return DecodedPage(items, page.has_next, len(response.body), replaced)

    def _page_of_any(self, response: Answer) -> tuple[Page, int]:
        """Return a page, and how many characters were replaced in it."""
        if bodies.is_clean(response):
            try:
                page = self._api.page(self._any.decode(response.body))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                pass
            else:
                if not any(map(bodies.is_too_deep, page.rows)):
                    return page, 0
        answer, replaced = bodies.read_rows(response, self._any, self._api.rows_member)
        return self._api.page(answer), replaced

    def _item(self, row: Any) -> Any:
        """Return the record of a row, or say why there is none."""
        if type(row) is Unreadable:
            return Rejected({"json": row.text}, row.reason)
        if type(row) is not dict:
            return Rejected({"json": msgspec.json.encode(row).decode()}, "not an object")
        shaped = self._shaper(row)
        return shaped if isinstance(shaped, Rejected) else self._record(**shaped)


def _has_blank(values: list[Any]) -> bool:
    """Return whether a value of a key is missing; all values have the type of one column."""
    if values and isinstance(values[0], str):
        return None in values or not all(map(str.strip, values))
    return None in values
