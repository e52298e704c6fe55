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
from tap_msghistory.http.charsets import charset_of
from tap_msghistory.http.json_bodies import REPLACEMENT
from tap_msghistory.reading.records import EXTRA_FIELDS, Rejected, Row, json_type
from tap_msghistory.stats import Effort

csv.field_size_limit(2**31 - 1)  # a text may be longer than the 131,072 characters of the default

# By separator. Where the comma does not separate columns, it may be the decimal sign.
_NUMBERS = {
    ",": re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?", re.ASCII),
    ";": re.compile(r"[+-]?\d{1,30}([.,]\d{1,30})?", re.ASCII),
}
_NUMBERS |= {"\t": _NUMBERS[";"], "|": _NUMBERS[";"]}
_SEPARATOR_LINE = re.compile(r"""["']?sep=([,;\t|])["']?""", re.IGNORECASE)
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_BLANKS = "\ufeff \t\r\n"
_FORMULA = re.compile(r'="(.*)"', re.DOTALL)
_TEXT_MARK = re.compile(r"^['\t](?=[-+=@\d])")
_SCIENTIFIC = re.compile(r"[+-]?\d+([.,]\d+)?[eE][+-]?\d+", re.ASCII)
_IDENTIFIERS = {"messageId", "customerMessageId"}
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

    def read(
        self, chunks: Iterable[bytes], headers: Mapping[str, str] | None = None, effort: Effort | None = None
    ) -> Iterator[Row | Rejected]:
        """Yield the rows of a file, keyed by spellings that the schema has, else as the header has it.

        A byte order mark or the charset that `headers` declare says how the text is encoded, else it is
        UTF-8. Separators are those of `_NUMBERS`; a first line such as `sep=;` may name it. Empty cells are
        left out. A row with another number of columns is rejected. A file without a header has no rows.

        Raises `UnexpectedAnswerError` for what is no such file, and for one that ends early: within a quoted
        text, or with a last row that has fewer columns and no line break. Whether a file was cut within
        its very last cell, only HTTP can tell, by its length or its encoding.
        """
        lines = _Lines(_texts(chunks, headers or {}, effort or Effort()))
        header = next((line for line in lines if line.strip(_BLANKS)), "")
        named = _SEPARATOR_LINE.fullmatch(header.strip("\ufeff \r\n"))
        if named:
            header = next(lines, "")
        if not header.strip(_BLANKS):
            return
        separator, columns = self._columns(header, [named[1]] if named else [*_NUMBERS])
        reader = csv.reader(chain([header], lines), delimiter=separator, strict=True)
        next(reader)
        lines.begin_row()
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                if lines.ended:
                    raise UnexpectedAnswerError(f"the file ends within a row ({error})") from None
                yield Rejected({"line": lines.begin_row()}, f"the row is not CSV ({error})")
                continue
            if cells is None:
                return
            line = lines.begin_row()
            if len(cells) == len(columns):
                yield _row(columns, cells)
            elif cells:
                what = f"{len(cells)} columns instead of {len(columns)}"
                if len(cells) < len(columns) and not line.endswith("\n"):
                    raise UnexpectedAnswerError(f"the file ends within a row: it has {what}")
                yield Rejected({"columns": cells}, what)

    def _columns(self, header: str, separators: Iterable[str]) -> tuple[str, list[_Column]]:
        """Return the separator with which the needed columns are there, and the columns."""
        for separator in separators:
            numbers = _NUMBERS[separator]
            names = _cells(header, separator)
            known = [self._known.get(_folded(name)) for name in names]
            properties = {it.property for it in known if it}
            if all(properties & needed for needed in self._needed):
                keys = _distinct([it.spelling if it else name for name, it in zip(names, known, strict=True)])
                return separator, [
                    _Column(key, _conversion(it, numbers)) for key, it in zip(keys, known, strict=True)
                ]
        raise UnexpectedAnswerError("the file does not begin with the names of a message's columns")


class _Lines:
    r"""Yields lines, each with its \n but perhaps the last, and remembers those of the current row.

    Other characters that end lines are text here.
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

    def begin_row(self) -> str:
        """Return the lines of the row before."""
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


def _texts(chunks: Iterable[bytes], headers: Mapping[str, str], effort: Effort) -> Iterator[str]:
    """Decode a file, and count the characters that are replaced."""
    decoder = None
    for chunk in chunks:
        if decoder is None:
            codec = next((codec for mark, codec in _MARKS.items() if chunk.startswith(mark)), None)
            decoder = codecs.getincrementaldecoder(codec or charset_of(headers) or "utf-8")(errors="replace")
        text = decoder.decode(chunk)
        effort.replaced += text.count(REPLACEMENT) - chunk.count(REPLACEMENT.encode())
        if "\0" in text:
            effort.replaced += text.count("\0")
            text = text.replace("\0", REPLACEMENT)
        yield text
    if decoder is not None and (text := decoder.decode(b"", final=True)):
        effort.replaced += len(text)
        yield text


def _row(columns: list[_Column], cells: list[str]) -> Row:
    row: Row = {}
    for (key, convert), cell in zip(columns, cells, strict=True):
        if cell:
            value = convert(cell) if convert else cell
            if value is not None:
                row[key] = value
            elif _SCIENTIFIC.fullmatch(_unwrapped(cell)):
                row[f"{key} (rounded)"] = cell  # the digits are lost, and so it identifies nothing
    return row


def _conversion(known: _Known | None, numbers: re.Pattern[str]) -> Callable[[str], Any] | None:
    """Return what is done with the cells of a column; None: nothing, as in a text of a message."""
    if known is None:
        return _without_formula
    if known.property in _IDENTIFIERS:
        return _identifier
    conversions: dict[str, Callable[[str], Any]] = {
        # Prices and counts are few, and messages many.
        "integer": lru_cache(partial(_integer, numbers)),
        "number": lru_cache(partial(_number, numbers)),
    }
    return conversions.get(known.type, None if known.property == "body" else _unwrapped)


def _identifier(cell: str) -> str | None:
    text = _unwrapped(cell).lstrip("'\t")
    is_missing = not text.strip() or text.strip().upper() == "NULL" or _SCIENTIFIC.fullmatch(text)
    return None if is_missing else text


def _unwrapped(cell: str) -> str:
    """Return a cell without what keeps spreadsheets from taking it for a number or a formula."""
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
    plain = _unwrapped(text).strip()
    return Decimal(plain.replace(",", ".")) if numbers.fullmatch(plain) else None
