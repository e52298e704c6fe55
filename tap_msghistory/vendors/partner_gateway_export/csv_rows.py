"""Parses a CSV file into rows like those of the JSON API. Pure, and in constant memory."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache, partial
from itertools import chain
from typing import Any, NamedTuple

from tap_msghistory.errors import UnexpectedResponseError
from tap_msghistory.http.charsets import charset_of
from tap_msghistory.http.json_bodies import REPLACEMENT
from tap_msghistory.reading.records import EXTRA_FIELDS, Rejected, Row
from tap_msghistory.schemas import json_type
from tap_msghistory.stats import WindowStats

csv.field_size_limit(2**31 - 1)  # a text may exceed the default of 131,072 characters

#: Patterns of numbers by column separator. Unless columns are separated by commas, a comma may be the decimal
#: separator.
_NUMBER_PATTERNS = {
    ",": re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?", re.ASCII),
    ";": re.compile(r"[+-]?\d{1,30}([.,]\d{1,30})?", re.ASCII),
}
_NUMBER_PATTERNS |= {"\t": _NUMBER_PATTERNS[";"], "|": _NUMBER_PATTERNS[";"]}
_SEPARATORS = tuple(_NUMBER_PATTERNS)
_SEPARATOR_LINE = re.compile(r"""["']?sep=([,;\t|])["']?""", re.IGNORECASE)
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_BLANKS = "\ufeff \t\r\n"
_FORMULA = re.compile(r'="(.*)"', re.DOTALL)
_TEXT_MARK = re.compile(r"^['\t](?=[-+=@\d])")
_SCIENTIFIC = re.compile(r"[+-]?\d+([.,]\d+)?[eE][+-]?\d+", re.ASCII)
_IDENTIFIERS = {"messageId", "customerMessageId"}
_NO_LETTERS = re.compile(r"[\W_]+")


class _KnownColumn(NamedTuple):
    """A column that is a property of the schema."""

    property: str
    alias: str
    type: str


class _Column(NamedTuple):
    """A column of a file: its key in the rows, and the conversion of its cells, if any."""

    key: str
    convert: Callable[[str], Any] | None


class CsvParser:
    """Reads files whose columns are identified by name, ignoring case, spaces and punctuation."""

    def __init__(self, schema: Mapping[str, Any], *, required: Iterable[set[str]]) -> None:
        """Require a column for at least one property of each set in `required`."""
        self._required = tuple(required)
        self._known = {
            _folded(alias): _KnownColumn(name, alias, json_type(declaration))
            for name, declaration in schema["properties"].items()
            if name != EXTRA_FIELDS
            for alias in (*declaration.get("x-aliases", ()), name)
        }

    def read(
        self,
        chunks: Iterable[bytes],
        headers: Mapping[str, str] | None = None,
        stats: WindowStats | None = None,
    ) -> Iterator[Row | Rejected]:
        """Yield the rows of a file, keyed by the schema's aliases, or by the header for other columns.

        The encoding is that of the byte order mark or of the charset in `headers`, by default UTF-8. The
        separator is a comma, semicolon, tab or pipe; a first line such as `sep=;` may declare it. Empty cells
        are omitted. A row with a different number of columns is rejected. An empty file has no rows.

        Raises `UnexpectedResponseError` if the header lacks required columns, or if the file ends within a
        quoted text or with a row that has fewer columns and no line break. A file that is cut off within its
        last cell can only be detected by HTTP, from its length or its encoding.
        """
        lines = _Lines(_texts(chunks, {} if headers is None else headers, stats or WindowStats()))
        header = next((line for line in lines if line.strip(_BLANKS)), "")
        named = _SEPARATOR_LINE.fullmatch(header.strip("\ufeff \r\n"))
        if named:
            header = next(lines, "")
        if not header.strip(_BLANKS):
            return
        separator, columns = self._columns(header, [named[1]] if named else _SEPARATORS)
        reader = csv.reader(chain([header], lines), delimiter=separator, strict=True)
        next(reader)
        lines.start_row()
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                if lines.ended:
                    raise UnexpectedResponseError(f"the file ends within a row ({error})") from None
                yield Rejected({"line": lines.start_row()}, f"the row is not CSV ({error})")
                continue
            if cells is None:
                return
            line = lines.start_row()
            if len(cells) == len(columns):
                yield _row(columns, cells)
            elif cells:
                reason = f"{len(cells)} columns instead of {len(columns)}"
                if len(cells) < len(columns) and not line.endswith("\n"):
                    raise UnexpectedResponseError(f"the file ends within a row: it has {reason}")
                yield Rejected({"columns": cells}, reason)

    def _columns(self, header: str, separators: Iterable[str]) -> tuple[str, list[_Column]]:
        """Return the separator for which all required columns exist, and the columns."""
        for separator in separators:
            numbers = _NUMBER_PATTERNS[separator]
            names = _cells(header, separator)
            known = [self._known.get(_folded(name)) for name in names]
            properties = {column.property for column in known if column}
            if all(properties & names for names in self._required):
                keys = _distinct(
                    [column.alias if column else name for name, column in zip(names, known, strict=True)]
                )
                return separator, [
                    _Column(key, _conversion(column, numbers))
                    for key, column in zip(keys, known, strict=True)
                ]
        raise UnexpectedResponseError("the file does not start with the column names of messages")


class _Lines:
    r"""Yields lines including their \n, and remembers those of the current row.

    Other line separators are part of the text.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._lines = _split(texts)
        self._row: list[str] = []
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            line = next(self._lines)
        except StopIteration:
            self.ended = True
            raise
        self._row.append(line)
        return line

    def start_row(self) -> str:
        """Start a new row, and return the lines of the previous one."""
        row, self._row = "".join(self._row), []
        return row


def _split(texts: Iterable[str]) -> Iterator[str]:
    rest = ""
    for text in texts:
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            yield line + "\n"
    if rest:
        yield rest


def _texts(chunks: Iterable[bytes], headers: Mapping[str, str], stats: WindowStats) -> Iterator[str]:
    """Decode a file, and count the replaced characters."""
    decoder = None
    for chunk in chunks:
        if decoder is None:
            codec = next((codec for mark, codec in _MARKS.items() if chunk.startswith(mark)), None)
            decoder = codecs.getincrementaldecoder(codec or charset_of(headers) or "utf-8")(errors="replace")
        text = decoder.decode(chunk)
        stats.replaced += text.count(REPLACEMENT) - chunk.count(REPLACEMENT.encode())
        if "\0" in text:
            stats.replaced += text.count("\0")
            text = text.replace("\0", REPLACEMENT)
        yield text
    if decoder is not None and (text := decoder.decode(b"", final=True)):
        stats.replaced += len(text)
        yield text


def _row(columns: list[_Column], cells: list[str]) -> Row:
    row: Row = {}
    for (key, convert), cell in zip(columns, cells, strict=True):
        if cell:
            value = convert(cell) if convert else cell
            if value is not None:
                row[key] = value
            elif _SCIENTIFIC.fullmatch(_unwrapped(cell)):
                row[f"{key} (rounded)"] = cell  # digits are lost, so it is not an identifier
    return row


def _conversion(known: _KnownColumn | None, numbers: re.Pattern[str]) -> Callable[[str], Any] | None:
    """Return the conversion of a column's cells; None if cells stay unchanged, as in `body`."""
    if known is None:
        return _without_formula
    if known.property in _IDENTIFIERS:
        return _identifier
    conversions: dict[str, Callable[[str], Any]] = {
        # There are few different prices and counts, and many messages.
        "integer": lru_cache(partial(_integer, numbers)),
        "number": lru_cache(partial(_number, numbers)),
    }
    return conversions.get(known.type, None if known.property == "body" else _unwrapped)


def _identifier(cell: str) -> str | None:
    text = _unwrapped(cell).lstrip("'\t")
    is_missing = not text.strip() or text.strip().upper() == "NULL" or _SCIENTIFIC.fullmatch(text)
    return None if is_missing else text


def _unwrapped(cell: str) -> str:
    """Return a cell without the marks that keep spreadsheets from reading it as a number or a formula."""
    return _TEXT_MARK.sub("", _without_formula(cell))


def _without_formula(cell: str) -> str:
    formula = _FORMULA.fullmatch(cell)
    return formula[1].replace('""', '"') if formula else cell


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator, strict=True), [])
    except csv.Error:
        return []


def _folded(name: str) -> str:
    return _NO_LETTERS.sub("", name).casefold()


def _distinct(names: list[str]) -> list[str]:
    """Return `names`; repeated names get their position appended."""
    return [f"{name} {index}" if name in names[:index] else name for index, name in enumerate(names)]


def _integer(numbers: re.Pattern[str], text: str) -> int | str:
    """Return the text as an integer, or unchanged if it is not one."""
    number = _exact(numbers, text)
    return int(number) if number is not None and number == int(number) else text


def _number(numbers: re.Pattern[str], text: str) -> float | str:
    """Return the text as a float, or unchanged if no float is exactly equal."""
    number = _exact(numbers, text)
    return float(number) if number is not None and number == Decimal(repr(float(number))) else text


def _exact(numbers: re.Pattern[str], text: str) -> Decimal | None:
    plain = _unwrapped(text).strip()
    return Decimal(plain.replace(",", ".")) if numbers.fullmatch(plain) else None
