"""One canonical record a message, whatever spelling the vendor uses.

What a record is stands in `schemas/*.json`. Beside a property, `x-spellings` lists the other names under
which the vendors' pages show it, and `x-joined` marks a string that may come as a list of strings.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import Any

from tap_msghistory.apis.base import Row
from tap_msghistory.timestamps import to_text

Record = dict[str, Any]
Convert = Callable[[Any], Any]  # returns None for a value of an unexpected type

EXTRA_FIELDS = "extraFields"
_INT64 = range(-(2**63), 2**63)

logger = logging.getLogger("tap-msghistory.records")


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that cannot be shaped, whole."""

    row: Row
    reason: str


class Shaper:
    """Turns a vendor's row into a record with every property of the schema, or says why it cannot."""

    def __init__(
        self,
        schema: Mapping[str, Any],
        *,
        sent_at: str,
        assume_timezone: tzinfo,
        id_fallback: str | None = None,
    ) -> None:
        """Name the property that holds the send time, and the one that may stand for `messageId`."""
        declared = {name: it for name, it in schema["properties"].items() if name != EXTRA_FIELDS}
        self._empty = dict.fromkeys(schema["properties"])
        self._converts = {name: self._converter(it) for name, it in declared.items()}
        self._spellings = _spellings(declared)
        self._sent_at = sent_at
        self._id_fallback = id_fallback
        self._assume_timezone = assume_timezone
        self._has_assumed = False
        self._layout = lru_cache(maxsize=1024)(self._lay_out)

    def __call__(self, row: Row) -> Record | Rejected:
        """Shape one row; a field that the schema does not know is kept in `extraFields`.

        So is a known one of an unexpected type, and its own property is null.
        """
        known, unknown = self._layout(tuple(row))
        record: Record = self._empty.copy()
        extra = {key: row[key] for key in unknown}
        for key, name, convert in known:
            value = row[key]
            if value is not None:
                record[name] = converted = convert(value)
                if converted is None:
                    extra[key] = value
        if extra:
            record[EXTRA_FIELDS] = extra
        if record["messageId"] is None and self._id_fallback:
            record["messageId"] = record[self._id_fallback]
        if record["messageId"] is None:
            return Rejected(row, "no readable messageId")
        if record[self._sent_at] is None:
            return Rejected(row, f"no readable {self._sent_at}")
        return record

    def _lay_out(self, keys: tuple[str, ...]) -> tuple[tuple[tuple[str, str, Convert], ...], tuple[str, ...]]:
        """Say which of a row's keys is which property's; rows of one server have few layouts."""
        chosen: dict[str, tuple[int, str]] = {}
        for key in keys:
            # The pages themselves mix cases (tenantId, TenantId), but an exact spelling goes first.
            rank, name = self._spellings.get(key) or self._spellings.get(key.lower()) or (0, None)
            if name is not None:
                chosen[name] = min(chosen.get(name, (rank, key)), (rank, key))
        known = tuple((key, name, self._converts[name]) for name, (_, key) in chosen.items())
        taken = {key for key, _, _ in known}
        return known, tuple(key for key in keys if key not in taken)

    def _converter(self, declaration: Mapping[str, Any]) -> Convert:
        if declaration.get("format") == "date-time":
            return self._moment
        if declaration.get("x-joined"):
            return _joined_string
        (type_,) = (it for it in declaration["type"] if it != "null")
        return {"integer": _integer, "number": _number, "string": _string}[type_]

    def _moment(self, value: Any) -> str | None:
        if type(value) is not str:
            return None
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                self._warn_of_assumption()
                moment = moment.replace(tzinfo=self._assume_timezone)
            return to_text(moment)
        except (ValueError, OverflowError):
            return None

    def _warn_of_assumption(self) -> None:
        if not self._has_assumed:
            self._has_assumed = True
            logger.warning(
                "Times without an offset are taken as %s (setting assume_timezone)",
                self._assume_timezone,
            )


def _spellings(declared: Mapping[str, Mapping[str, Any]]) -> dict[str, tuple[int, str]]:
    """Return for every spelling, and its lower case, a rank (least first) and the property's name."""
    exact = {
        spelling: (rank, name)
        for name, declaration in declared.items()
        for rank, spelling in enumerate([name, *declaration.get("x-spellings", ())])
    }
    folded = {key.lower(): (rank + len(exact), name) for key, (rank, name) in exact.items()}
    return folded | exact


def _string(value: Any) -> str | None:
    return value if type(value) is str else None


def _joined_string(value: Any) -> str | None:
    if type(value) is list and all(type(it) is str for it in value):
        return ",".join(value)
    return _string(value)


def _integer(value: Any) -> int | None:
    """Take what a warehouse's bigint holds; JSON's true is no number."""
    return value if type(value) is int and value in _INT64 else None


def _number(value: Any) -> float | None:
    return value if type(value) in (int, float) else None
