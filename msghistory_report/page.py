"""The page, without JavaScript: key figures, and for each section a drawing, a sentence and a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

import jinja2
import vl_convert
from markupsafe import Markup

from msghistory_report.database import Row
from msghistory_report.sections import Section
from msghistory_report.style import specification

_SVG = "http://www.w3.org/2000/svg"
ET.register_namespace("", _SVG)
#: Control characters abort vl-convert. It shortens labels within a surrogate pair, which then is an error.
_NOT_DRAWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\U00010000-\U0010ffff]")
#: Digits of a coordinate that nobody can see, but that are a fifth of a drawing's size.
_DECIMALS = re.compile(r"(\.\d\d)\d+")
_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("msghistory_report", "."),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A key figure. A bad one is marked."""

    label: str
    value: str
    note: str = ""
    is_bad: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A section with its rows."""

    section: Section
    rows: Sequence[Row]

    @property
    def summary(self) -> str:
        """The main result, or the reason for a missing one."""
        return self.section.summary(self.rows) if self.rows else self.section.empty

    @property
    def drawing(self) -> Markup:
        """The chart as an SVG element, empty without rows."""
        if not self.rows:
            return Markup()
        chart = self.section.draw([_drawable(row) for row in self.rows])
        svg = vl_convert.vegalite_to_svg(specification(chart))
        return _inline(svg, self.section.id, f"{self.section.title}. {self.summary}")


def render(figures: Sequence[Figure], parts: Sequence[Part], *, title: str, period: str, made_at: str) -> str:
    """Return the page as HTML."""
    template = _ENVIRONMENT.get_template("page.html.j2")
    return template.render(figures=figures, parts=parts, title=title, period=period, made_at=made_at)


def _drawable(row: Row) -> Row:
    """Return a row without characters that vl-convert cannot draw. The table has them."""
    return {
        name: _NOT_DRAWABLE.sub("\N{REPLACEMENT CHARACTER}", value) if isinstance(value, str) else value
        for name, value in row.items()
    }


def _inline(svg: str, prefix: str, label: str) -> Markup:
    """Return a drawing for a page with others: its ids are unique, and its marks have tooltips."""
    root = ET.fromstring(svg)  # noqa: S314 - made by vl-convert
    for element in root.iter():
        if name := element.get("id"):
            element.set("id", f"{prefix}-{name}")
        for attribute, value in element.items():
            if "url(#" in value:
                element.set(attribute, re.sub(r"url\(#", f"url(#{prefix}-", value))
        if element.get("role") == "graphics-symbol" and (text := element.get("aria-label")):
            # A browser shows the title of an element as its tooltip.
            tooltip = ET.SubElement(element, f"{{{_SVG}}}title")
            tooltip.text = text.replace("; ", "\n")
        if path := element.get("d"):
            element.set("d", _DECIMALS.sub(r"\1", path))
        # The drawing has one description; assistive technology finds the values in the table.
        for attribute in ("role", "aria-label", "aria-roledescription", "aria-hidden"):
            element.attrib.pop(attribute, None)
    # Narrower than its place, a drawing would be enlarged, and its text with it.
    root.set("style", f"max-width: {root.get('width')}px")
    root.set("role", "img")
    root.set("aria-label", label)
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - ElementTree escapes the texts
