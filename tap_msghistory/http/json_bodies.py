"""Reads JSON bodies, including bodies that strict parsers or targets reject.

Charsets other than UTF-8 are supported. Invalid bytes, lone surrogates and U+0000, which PostgreSQL cannot
store, are replaced by U+FFFD. A row that cannot be parsed does not affect the other rows.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from urllib3 import BaseHTTPResponse

from tap_msghistory.errors import UnexpectedResponseError
from tap_msghistory.http.charsets import charset_of

REPLACEMENT = "\ufffd"
#: Values nested more deeply are rejected, because encoders and targets are recursive.
MAX_DEPTH = 100
_NUL = b"\\u0000"
_NOT_JSON = "the body is not JSON"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that cannot be parsed: its JSON text and the reason."""

    text: str
    reason: str


class _TooDeepError(ValueError):
    """A value is nested more than `MAX_DEPTH` levels deep."""


class _TooLongError(ValueError):
    """An integer has more digits than Python parses."""


def is_clean(response: BaseHTTPResponse) -> bool:
    """Return whether a body is UTF-8 by its headers, or by default, and contains no U+0000."""
    return _NUL not in response.data and charset_of(response.headers) in (None, "utf-8")


def read(response: BaseHTTPResponse, decoder: msgspec.json.Decoder[Any]) -> Any:
    """Return the JSON value of a body. Raises `UnexpectedResponseError`, which does not quote the body."""
    if is_clean(response):
        try:
            return decoder.decode(response.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass  # a lone surrogate (an SMS cut within an emoji) must not affect the other rows
    text, _ = _text_of(response)
    try:
        value = _Reader().read(text)
    except (RecursionError, _TooDeepError, _TooLongError) as error:
        raise UnexpectedResponseError(
            "the body is nested too deeply or contains a number that is too long"
        ) from error
    return _convert(value, decoder.type)


def read_rows(response: BaseHTTPResponse, decoder: msgspec.json.Decoder[Any], array: str) -> tuple[Any, int]:
    """Return the value of a page's body, and the number of replaced characters.

    Rows are the elements of the body itself or of its member `array`. Rows that cannot be parsed are
    `Unreadable`. Raises `UnexpectedResponseError`.
    """
    text, replaced = _text_of(response)
    reader = _Reader()
    try:
        value = reader.read(text)
    except (RecursionError, _TooDeepError, _TooLongError):
        reader = _Reader()
        value = _read_by_row(text, array, reader)
    return _convert(value, decoder.type), replaced + reader.replaced


def is_too_deep(value: Any, levels: int = MAX_DEPTH) -> bool:
    """Return whether a value is nested more than `levels` deep."""
    if not isinstance(value, (dict, list)):
        return False
    items = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(is_too_deep(item, levels - 1) for item in items)


def _text_of(response: BaseHTTPResponse) -> tuple[str, int]:
    body, charset = response.data, charset_of(response.headers) or "utf-8"
    if charset == "utf-8":
        text = body.decode("utf-8-sig", errors="replace")
        return text, text.count(REPLACEMENT) - body.count(REPLACEMENT.encode())
    text = body.decode(charset, errors="replace")
    return text.removeprefix("\ufeff"), text.count(REPLACEMENT)


def _convert(value: Any, type_: Any) -> Any:
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise UnexpectedResponseError("the body is not a page of messages") from error


class _Reader:
    """Parses JSON leniently and counts the replaced characters."""

    def __init__(self) -> None:
        self.replaced = 0

    def read(self, text: str) -> Any:
        """Return the parsed value.

        Raises `UnexpectedResponseError`, `_TooDeepError`, `_TooLongError` or `RecursionError`.
        """
        try:
            value = json.loads(
                text, parse_constant=str, parse_float=_finite, parse_int=_integer, strict=False
            )
        except json.JSONDecodeError as error:
            raise UnexpectedResponseError(_NOT_JSON) from error
        return self._clean(value, MAX_DEPTH + 2)  # rows are in an array, which may be in an object

    def _clean(self, value: Any, levels: int) -> Any:
        if isinstance(value, str):
            return self._clean_text(value)
        if isinstance(value, (list, dict)) and levels < 0:
            raise _TooDeepError
        if isinstance(value, list):
            return [self._clean(item, levels - 1) for item in value]
        if isinstance(value, dict):
            return {self._clean_text(key): self._clean(item, levels - 1) for key, item in value.items()}
        return value

    def _clean_text(self, text: str) -> str:
        """Replace U+0000, which targets reject, and lone surrogates, which UTF-8 cannot represent."""
        clean = text.replace("\0", REPLACEMENT)
        clean = clean.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if clean != text:
            self.replaced += clean.count(REPLACEMENT) - text.count(REPLACEMENT)
        return clean


def _read_by_row(text: str, array: str, reader: _Reader) -> Any:
    """Parse each row of a body separately."""
    start, end, spans = _elements(text, array)
    rows = [_read_row(text[first:last].strip(), reader) for first, last in spans]
    rest = text[:start] + "[]" + text[end:]
    try:
        value = reader.read(rest)
    except (RecursionError, ValueError) as error:
        raise UnexpectedResponseError(_NOT_JSON) from error
    if isinstance(value, dict):
        value[array] = rows
        return value
    return rows


def _read_row(text: str, reader: _Reader) -> Any:
    try:
        return reader.read(text)
    except (RecursionError, _TooDeepError):
        return Unreadable(text.replace("\0", REPLACEMENT), f"nested more than {MAX_DEPTH} levels deep")
    except _TooLongError:
        return Unreadable(text.replace("\0", REPLACEMENT), "an integer has too many digits")


def _elements(text: str, array: str) -> tuple[int, int, list[tuple[int, int]]]:
    """Return the start and end of the array of rows, and of each of its elements.

    The array is the whole body, or the member `array` of an object. Raises `UnexpectedResponseError`.
    """
    depth = 0
    name: tuple[str, int] = ("", 0)
    start, first, array_depth = -1, 0, -1
    spans: list[tuple[int, int]] = []
    for token in _tokens(text):
        symbol = token[0]
        if symbol[0] == '"':
            name = (symbol, token.end())
        elif symbol in "[{":
            depth += 1
            is_member = name[0] == f'"{array}"' and text[name[1] : token.start()].strip() == ":"
            if start < 0 and symbol == "[" and (depth == 1 or (depth == 2 and is_member)):  # noqa: PLR2004
                start, first, array_depth = token.start(), token.end(), depth
        elif symbol == "," and start >= 0 and depth == array_depth:
            spans.append((first, token.start()))
            first = token.end()
        elif symbol in "]}":
            if start >= 0 and depth == array_depth:
                if spans or text[first : token.start()].strip():
                    spans.append((first, token.start()))
                return start, token.end(), spans
            depth -= 1
    raise UnexpectedResponseError(_NOT_JSON)


def _tokens(text: str) -> Iterator[re.Match[str]]:
    return re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{},]', text, re.DOTALL)


def _finite(literal: str) -> float | str:
    """Return a float, or the text of a number outside its range."""
    number = float(literal)
    return number if math.isfinite(number) else literal


def _integer(literal: str) -> int:
    try:
        return int(literal)
    except ValueError as error:
        raise _TooLongError from error
