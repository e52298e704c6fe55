"""Checks that the page about troubleshooting has every error and warning of the tap, and no other.

Messages are collected from the source code, with `…` for each part that varies. The page lists them in
the first column of its tables.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from docs_build.markdown import IncompleteReferenceError, code, prose, table
from tap_msghistory.vendors import SOURCES

PAGE = "troubleshooting.md"
VARIABLE = "…"
PACKAGE = Path(__file__).parents[1] / "tap_msghistory"

#: Messages that a user never sees: another error has already ended the run, or another message replaces it.
_INTERNAL = {
    "Config validation failed",
    "a proxy without a host",
    "stopped while downloading",
    "…: stopped while waiting",
}
_OUTCOMES = {"Retry", "Fail", "Rejected", "Unreadable", "_gave_up"}
_PLACEHOLDER = re.compile(r"%(\.\d)?[sdfr]")
_DOCUMENTED = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)


def check(markdown: str) -> None:
    """Raise `IncompleteReferenceError` if the page lacks a message, or has one that does not exist."""
    documented = {*_DOCUMENTED.findall(markdown)}
    existing = {*messages()} - _INTERNAL
    lines = [f"not documented: {message}" for message in sorted(existing - documented)]
    lines += [f"does not exist: {message}" for message in sorted(documented - existing)]
    if lines:
        raise IncompleteReferenceError("\n".join(["messages differ from the code", *lines]))


def render_vendor_errors() -> str:
    """Return a table of the errors that the vendors document, with the advice of the tap."""
    vendors = {source.vendor.name: source.vendor for source in SOURCES}.values()
    return table(
        ("vendor", "status", "code in the response", "advice"),
        (
            (vendor.name, str(rule.status), code(rule.code) if rule.code else "any", prose(rule.advice))
            for vendor in vendors
            for rule in vendor.error_rules
        ),
    )


def messages(package: Path = PACKAGE) -> Iterator[str]:
    """Yield every error and warning of the tap, with `…` for each part that varies."""
    for path in sorted(package.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = _constants(tree)
        for node in ast.walk(tree):
            for text in _messages_of(node, path.stem, constants):
                if re.search(r"\w", text):
                    yield text


def _constants(tree: ast.Module) -> dict[str, ast.expr]:
    """Return the values of a module's constants, by name."""
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _messages_of(node: ast.AST, module: str, constants: Mapping[str, ast.expr]) -> Iterable[str]:
    if isinstance(node, ast.Call):
        name = _name(node.func)
        arguments = [constants.get(_name(argument), argument) for argument in node.args]
        if name in {"warning", "_fail"}:
            return _texts(arguments[:1])
        if name in _OUTCOMES or name.endswith("Error"):
            return _texts(arguments)
    elif isinstance(node, ast.Yield) and module == "validation":
        if isinstance(node.value, ast.Tuple):
            setting, error = node.value.elts
            return [f"Setting {next(iter(_texts([setting])), VARIABLE)} {text}" for text in _texts([error])]
        return _texts([node.value] if node.value else [])
    elif isinstance(node, ast.Return) and module == "errors" and isinstance(node.value, ast.JoinedStr):
        return _texts([node.value])
    return ()


def _name(expression: ast.expr) -> str:
    """Return the last part of a name such as `logger.warning`; empty for any other expression."""
    return str(getattr(expression, "id", "") or getattr(expression, "attr", ""))


def _texts(nodes: Iterable[ast.expr]) -> list[str]:
    """Return the templates of the string literals among some expressions."""
    return [text for node in nodes if (text := _template(node)) is not None]


def _template(node: ast.expr) -> str | None:
    """Return a string literal with `…` for what is formatted into it; None for any other expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        parts = _PLACEHOLDER.sub(VARIABLE, node.value)
    elif isinstance(node, ast.JoinedStr):
        parts = "".join(
            str(value.value) if isinstance(value, ast.Constant) else VARIABLE for value in node.values
        )
    else:
        return None
    return re.sub(f"{VARIABLE}+", VARIABLE, parts).strip()
