"""The table of the sandbox's command-line options, generated from its argument parser."""

from __future__ import annotations

import re

from docs_build.markdown import IncompleteReferenceError, code, prose, table
from msghistory_sandbox.cli import build_parser

_DEFAULT_IN_HELP = re.compile(r" \(default: (.*)\)$")


def render() -> str:
    """Return a table per group of options. Raises `IncompleteReferenceError` for an option without help."""
    parts = []
    for group in build_parser()._action_groups:  # noqa: SLF001 - argparse has no public list of options
        rows = []
        for action in group._group_actions:  # noqa: SLF001
            name = action.option_strings[-1]
            if not action.help:
                raise IncompleteReferenceError(f"option {name} of the sandbox has no help text")
            default = _DEFAULT_IN_HELP.search(action.help)
            text = prose(_DEFAULT_IN_HELP.sub("", action.help))
            if action.choices:
                text += f" One of {', '.join(map(code, action.choices))}."
            rows.append((code(name), code(default[1]) if default else "", text))
        if rows:
            title = "general" if group.title == "options" else group.title
            parts += [
                f"### Options: {title}",
                table(("option", "default", "description"), rows),
            ]
    return "\n\n".join(parts)
