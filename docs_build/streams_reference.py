"""The streams reference, generated from the declarations of the streams and from their JSON Schemas."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from singer_sdk import Stream

from docs_build.markdown import IncompleteReferenceError, code, prose, table
from tap_msghistory.reading.source import HistorySource, PagedHistorySource
from tap_msghistory.schemas import json_type, types_of
from tap_msghistory.streams import (
    HISTORY_STREAMS,
    MessageHistoryStream,
    RejectedMessagesStream,
    SyncWindowsStream,
)
from tap_msghistory.vendors import SOURCES


class Declaration(NamedTuple):
    """The facts that the class of a stream declares."""

    name: str
    schema: Mapping[str, Any]
    primary_keys: tuple[str, ...]
    replication_key: str | None
    selected_by_default: bool
    source: type[HistorySource] | None  #: None: the stream has no messages of its own
    description: str

    @classmethod
    def of(cls, stream: type[Stream]) -> Declaration:
        """Read the class attributes of a stream; the SDK types some of them as properties of an instance."""
        source = stream.source_type if issubclass(stream, MessageHistoryStream) else None
        attributes = vars(stream)
        return cls(
            **{name: attributes[name] for name in cls._fields[:-2]},
            source=source,
            description=_first_paragraph(source or stream),
        )


def render() -> str:
    """Return an overview, and one section per schema. Raises `IncompleteReferenceError`."""
    if missing := {*SOURCES} - {stream.source_type for stream in HISTORY_STREAMS}:
        raise IncompleteReferenceError(f"these sources have no stream: {missing}")
    header = ("stream", "primary key", "replication key", "enabled by")
    rows = (
        (
            f"[`{stream.name}`](#{stream.name})",
            _codes(stream.primary_keys),
            code(stream.replication_key) if stream.replication_key else "",
            _enabled_by(stream),
        )
        for stream in _declarations()
    )
    return "\n\n".join(["## Overview", table(header, rows), *map(_section, _by_schema())])


def render_diagram() -> str:
    """Return an entity-relationship diagram in Mermaid with the keys and times of each stream."""
    ledger = Declaration.of(SyncWindowsStream).name
    lines = ["```mermaid", "erDiagram"]
    for stream in _declarations():
        if stream.name != ledger:
            lines.append(f'    {ledger} ||--o{{ {stream.name} : "counts"')
        lines.append(f"    {stream.name} {{")
        for name, declaration in stream.schema["properties"].items():
            is_key, type_ = name in stream.primary_keys, _type(declaration)
            if is_key or type_ == "date-time" or name == "stream":
                lines.append(f"        {type_} {name}{' PK' if is_key else ''}")
        lines.append("    }")
    return "\n".join([*lines, "```"])


def _declarations() -> list[Declaration]:
    """Return all streams in the order of the page."""
    streams: tuple[type[Stream], ...] = (*HISTORY_STREAMS, RejectedMessagesStream, SyncWindowsStream)
    return [Declaration.of(stream) for stream in streams]


def _by_schema() -> list[list[Declaration]]:
    """Group the streams with equal columns, which are listed once."""
    groups: list[list[Declaration]] = []
    for stream in _declarations():
        same = next((group for group in groups if group[0].schema == stream.schema), None)
        if same is None:
            groups.append([stream])
        else:
            same.append(stream)
    return groups


def _section(streams: list[Declaration]) -> str:
    first = streams[0]
    facts = table(
        ("stream", "contains", "selected by default", "read with"),
        (
            (
                code(stream.name),
                prose(stream.description),
                "yes" if stream.selected_by_default else "no",
                _reader(stream.source),
            )
            for stream in streams
        ),
    )
    columns = table(
        ("column", "type", "description"),
        (
            (_column(name, first), _type_text(declaration), _description(name, declaration))
            for name, declaration in first.schema["properties"].items()
        ),
    )
    anchors = "".join(f'<span id="{stream.name}"></span>' for stream in streams[1:])
    title = f"## {_codes(stream.name for stream in streams)} {{ #{first.name} }}"
    return "\n\n".join(part for part in (title, anchors, facts, columns) if part)


def _column(name: str, stream: Declaration) -> str:
    marks = []
    if name in stream.primary_keys:
        marks.append("primary key")
    if name == stream.replication_key:
        marks.append("replication key")
    return f"{code(name)} ({', '.join(marks)})" if marks else code(name)


def _description(name: str, declaration: Mapping[str, Any]) -> str:
    if not declaration.get("description"):
        raise IncompleteReferenceError(f"column {name} has no description")
    aliases, allowed = declaration.get("x-aliases"), declaration.get("enum")
    text = prose(declaration["description"])
    text += f" One of {_codes(allowed)}." if allowed else ""
    return text + (f" Aliases: {_codes(aliases)}." if aliases else "")


def _type(declaration: Mapping[str, Any]) -> str:
    return str(declaration.get("format") or json_type(declaration))


def _type_text(declaration: Mapping[str, Any]) -> str:
    return f"{_type(declaration)}{', nullable' if 'null' in types_of(declaration) else ''}"


def _reader(source: type[HistorySource] | None) -> str:
    if source is None:
        return ""
    return code(source.paginator.__name__) if issubclass(source, PagedHistorySource) else "CSV files"


def _enabled_by(stream: Declaration) -> str:
    if stream.source is None:
        return "always"
    credentials = " or ".join(
        " and ".join(map(_setting, names)) for names in stream.source.vendor.credential_settings
    )
    setting = stream.source.enabled_by
    return f"{credentials}; and {_setting(setting)}" if setting else credentials


def _setting(name: str) -> str:
    return f"[`{name}`](settings.md#{name})"


def _first_paragraph(class_: type) -> str:
    text = inspect.getdoc(class_)
    if not text:
        raise IncompleteReferenceError(f"{class_.__name__} has no docstring")
    return " ".join(text.partition("\n\n")[0].split())


def _codes(names: Iterable[str]) -> str:
    return ", ".join(map(code, names))
