"""From a CSV file's bytes to rows as the JSON API would give them. Pure, and in constant memory."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache, partial
from itertools import chain
from typing import Any, NamedTuple

from tap_msghistory.errors import UnexpectedAnswerError
from tap_msghistory.records import EXTRA_FIELDS, Row, json_type

# By separator. Where the comma does not separate columns, it may be the decimal sign.
_NUMBERS = {
    ",": re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?", re.ASCII),
    ";": re.compile(r"[+-]?\d{1,30}([.,]\d{1,30})?", re.ASCII),
}
_NO_LETTERS = re.compile(r"[\W_]+")


class _Known(NamedTuple):
    """A column that the schema knows."""

    property: str
    spelling: str
    type: str


class _Column(NamedTuple):
    """A column of a file: its key in the rows, and what is done with its cells, if anything."""

    key: str
    convert: Callable[[str], Any] | None


class CsvRows:
    """Reads files whose columns are known by name, whatever its case, spaces or separators."""

    def __init__(self, schema: Mapping[str, Any], *, needed: Iterable[set[str]]) -> None:
        """Know the schema's properties. A file must have a column for one of each set in `needed`."""
        self._needed = tuple(needed)
        self._known = {
            _folded(spelling): _Known(name, spelling, json_type(declaration))
            for name, declaration in schema["properties"].items()
            if name != EXTRA_FIELDS
            for spelling in (*declaration.get("x-spellings", ()), name)
        }

    def read(self, chunks: Iterable[bytes]) -> Iterator[Row]:
        """Yield the rows of a file, keyed by spellings that the schema has, else as the header has it.

        UTF-8, with or without a BOM, separated by commas or semicolons; empty cells are left out. Raises
        `UnexpectedAnswerError` for what is no such file, and for one that ends early: within a line or
        a quoted text, or with a row that has not as many columns as the header.
        """
        lines = _lines(chunks)
        header = next((line for line in lines if line.strip()), "")
        separator, columns = self._columns(header)
        reader = csv.reader(chain([header], lines), delimiter=separator, strict=True)
        try:
            next(reader)
            for cells in reader:
                if len(cells) == len(columns):
                    yield {
                        key: convert(cell) if convert else cell
                        for (key, convert), cell in zip(columns, cells, strict=True)
                        if cell
                    }
                elif cells:
                    raise UnexpectedAnswerError(
                        f"line {reader.line_num} of the file has {len(cells)} columns, not {len(columns)}"
                    )
        except csv.Error as error:
            raise UnexpectedAnswerError(f"line {reader.line_num} of the file is no CSV ({error})") from None

    def _columns(self, header: str) -> tuple[str, list[_Column]]:
        """Return the separator with which the needed columns are there, and the columns."""
        for separator, numbers in _NUMBERS.items():
            names = _cells(header, separator)
            known = [self._known.get(_folded(name)) for name in names]
            properties = {it.property for it in known if it}
            if all(properties & needed for needed in self._needed):
                keys = _distinct([it.spelling if it else name for name, it in zip(names, known, strict=True)])
                conversions: dict[str, Callable[[str], Any]] = {
                    # Prices and counts are few, and messages many.
                    "integer": lru_cache(partial(_integer, numbers)),
                    "number": lru_cache(partial(_number, numbers)),
                }
                return separator, [
                    _Column(key, conversions.get(it.type) if it else None)
                    for key, it in zip(keys, known, strict=True)
                ]
        raise UnexpectedAnswerError("the file does not begin with the names of a message's columns")


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    r"""Yield the lines, each with its \n; other characters that end lines are text here."""
    decode = codecs.getincrementaldecoder("utf-8-sig")(errors="replace").decode
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + decode(chunk)).split("\n")
        for line in lines:
            yield line + "\n"
    if rest or decode(b"", final=True):
        raise UnexpectedAnswerError("the file ends within a line")


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return []


def _folded(name: str) -> str:
    return _NO_LETTERS.sub("", name).casefold()


def _distinct(names: list[str]) -> list[str]:
    """Return `names`, but for further ones of the same name, which get their place added."""
    return [f"{it} {place}" if it in names[:place] else it for place, it in enumerate(names)]


def _integer(numbers: re.Pattern[str], text: str) -> int | str:
    """Return the integer that the text is, or the text where it is none."""
    number = _exact(numbers, text)
    return int(number) if number is not None and number == int(number) else text


def _number(numbers: re.Pattern[str], text: str) -> float | str:
    """Return the float that the text is exactly, or the text where there is none."""
    number = _exact(numbers, text)
    return float(number) if number is not None and number == Decimal(repr(float(number))) else text


def _exact(numbers: re.Pattern[str], text: str) -> Decimal | None:
    plain = text.strip()
    return Decimal(plain.replace(",", ".")) if numbers.fullmatch(plain) else None
