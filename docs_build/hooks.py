"""MkDocs hooks: insert the generated parts of a page, and check what MkDocs cannot.

A comment such as `<!-- generated: settings -->` in a page is replaced by the output of a generator.
A generator that raises `IncompleteReferenceError` fails the build.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from docs_build import error_reference, sandbox_reference, settings_reference, streams_reference
from docs_build.markdown import IncompleteReferenceError

ROOT = Path(__file__).parents[1]

GENERATORS: Mapping[str, Callable[[], str]] = {
    "settings": settings_reference.render,
    "streams": streams_reference.render,
    "stream-diagram": streams_reference.render_diagram,
    "sandbox-options": sandbox_reference.render,
    "vendor-errors": error_reference.render_vendor_errors,
}
_MARKER = re.compile(r"^<!-- generated: ([a-z-]+) -->$", re.MULTILINE)
_LINK_OUT_OF_DOCS = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Return the page with its generated parts. Raises `PluginError`, which fails the build."""
    source = page.file.src_uri
    try:
        if source == error_reference.PAGE:
            error_reference.check(markdown)
        markdown = _MARKER.sub(lambda match: GENERATORS[match[1]](), markdown)
        return _LINK_OUT_OF_DOCS.sub(lambda match: _linked(match, config.repo_url), markdown)
    except KeyError as error:
        raise PluginError(f"{source}: no generator is named {error}") from error
    except IncompleteReferenceError as error:
        raise PluginError(f"{source}: {error}") from error


def _linked(match: re.Match[str], repo_url: str | None) -> str:
    """Return a link to a file of the repository that is not part of the site; text if it has no address."""
    text, path = match[1], match[2]
    if not (ROOT / path).exists():
        raise IncompleteReferenceError(f"the link to ../{path} leads to no file of the repository")
    return f"[{text}]({repo_url.rstrip('/')}/blob/main/{path})" if repo_url else text
