"""Reading JSON, also where a message has something in it that JSON should not have."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from tap_msghistory.errors import UnexpectedAnswerError
from tap_msghistory.retries import Answer


def read(answer: Answer, decoder: msgspec.json.Decoder[Any]) -> Any:
    """Read the JSON body of a response. Raises `UnexpectedAnswerError`, which shows nothing of it."""
    try:
        return decoder.decode(answer.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Half an emoji, cut off with the rest of an SMS, must not keep a thousand messages back.
        return _read_leniently(answer.body, decoder.type)


def _read_leniently(body: bytes, type_: Any) -> Any:
    try:
        text = body.decode("utf-8-sig", errors="replace")
        value = _clean(json.loads(text, parse_constant=str, parse_float=_finite))
    except (ValueError, RecursionError) as error:
        raise UnexpectedAnswerError("the body is not JSON") from error
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError as error:
        raise UnexpectedAnswerError("the body is not a page of messages") from error


def _finite(literal: str) -> float | str:
    """Keep a number that no float holds as it was written."""
    number = float(literal)
    return number if math.isfinite(number) else literal


def _clean(value: Any) -> Any:
    """Replace lone surrogates, which no UTF-8 can hold, by U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value
