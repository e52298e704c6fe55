"""From an answer's bytes to what is kept of its messages.

An answer whose rows are just as the schema says is decoded and checked in C, straight into the columns.
Any other (a new field, another spelling, a value of another type) is taken apart row by row; only how long
that takes differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from tap_msghistory.apis import bodies
from tap_msghistory.apis.base import HistoryApi
from tap_msghistory.records import EXTRA_FIELDS, Rejected, Shaper

T = TypeVar("T")

_TYPES: dict[str, Any] = {
    "string": str,
    "integer": Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)],
    "number": int | float,
}


@dataclass(frozen=True, slots=True)
class DecodedPage(Generic[T]):
    """A page's messages by id, each with send time, id, and the form in which the record is kept."""

    messages: dict[Any, tuple[str, Any, T]]
    rejected: list[Rejected]
    rows: int
    has_next: bool | None


class _MisfitError(Exception):
    """A row is not as the schema says."""


class PageDecoder(Generic[T]):
    """Decodes the answers of one series."""

    def __init__(
        self,
        *,
        api: HistoryApi,
        schema: Mapping[str, Any],
        shaper: Shaper,
        keep: Callable[[Any], T],
    ) -> None:
        """`keep` gets a record as a dict or as a msgspec Struct with the schema's columns in its order."""
        self._api = api
        self._shaper = shaper
        self._keep = keep
        self._times = tuple(
            name for name, it in schema["properties"].items() if it.get("format") == "date-time"
        )
        self._fitting = msgspec.json.Decoder(api.answer_type(_row_type(schema)))
        self._any = msgspec.json.Decoder(api.answer_type(dict[str, Any]))

    def __call__(self, body: bytes) -> DecodedPage[T]:
        """Decode one answer. Raises `UnexpectedAnswerError` where it is no page of messages."""
        try:
            return self._decode_fitting(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, _MisfitError):
            return self._decode_any(body)

    def _decode_fitting(self, body: bytes) -> DecodedPage[T]:
        page = self._api.page(self._fitting.decode(body))
        moment, keep = self._shaper.moment, self._keep
        sent_at, id_fallback = self._shaper.sent_at, self._shaper.id_fallback
        messages = {}
        for row in page.rows:
            for name in self._times:
                text = getattr(row, name)
                if text is not None:
                    setattr(row, name, moment(text) or _misfit())
            if row.messageId is None and id_fallback:
                row.messageId = getattr(row, id_fallback)
            sent, id_ = getattr(row, sent_at), row.messageId
            if id_ is None or sent is None:
                raise _MisfitError
            messages[id_] = (sent, id_, keep(row))
        return DecodedPage(messages, [], len(page.rows), page.has_next)

    def _decode_any(self, body: bytes) -> DecodedPage[T]:
        page = self._api.page(bodies.read(body, self._any))
        messages, rejected = {}, []
        for row in page.rows:
            shaped = self._shaper(row)
            if isinstance(shaped, Rejected):
                rejected.append(shaped)
            else:
                id_ = shaped["messageId"]
                messages[id_] = (shaped[self._shaper.sent_at], id_, self._keep(shaped))
        return DecodedPage(messages, rejected, len(page.rows), page.has_next)


def _row_type(schema: Mapping[str, Any]) -> type[msgspec.Struct]:
    """Return a Struct with the schema's columns, all optional: what is missing is for the shaper to say."""
    fields = []
    for name, declaration in schema["properties"].items():
        if name == EXTRA_FIELDS:
            fields.append((name, None, None))
        else:
            (wanted,) = (it for it in declaration["type"] if it != "null")
            fields.append((name, _TYPES[wanted] | None, None))
    # Without cycles to find, the garbage collector need not look at millions of rows.
    return msgspec.defstruct("Row", fields, forbid_unknown_fields=True, gc=False)


def _misfit() -> str:
    raise _MisfitError
