"""Templates -> text: the one place that knows where they are."""

from __future__ import annotations

from typing import Any

import jinja2

_PAGES = jinja2.Environment(
    loader=jinja2.PackageLoader("hil.kd"),
    autoescape=jinja2.select_autoescape(enabled_extensions=("svg.j2", "html.j2")),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def plain(text: str) -> str:
    """Someone's words on one line of Markdown, without a table's border or HTML."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")


_PAGES.filters["plain"] = plain


def render(template: str, **values: Any) -> str:
    """A template of ``hil/kd/templates`` with its values."""
    return _PAGES.get_template(template).render(**values)
