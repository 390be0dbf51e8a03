"""A document -> one self-contained HTML file: no script, no request, drawings inline."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hil.report.document import Document
from hil.report.figures_digits import KINDS
from hil.report.figures_scatter import HEIGHT
from hil.report.text import UNKNOWN, clean, count


def page(document: Document) -> str:
    """The whole page. Every string that is not the template's own is cleaned and escaped."""
    environment = Environment(
        loader=PackageLoader("hil.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters["count"] = count
    environment.filters["kind"] = lambda block: type(block).__name__
    return environment.get_template("page.html.j2").render(
        doc=document, kinds=KINDS, scatter_height=HEIGHT, numeric=_numeric
    )


def _finalize(value: object) -> object:
    """Control codes and line breaks out of whatever is printed; markup is the templates' own."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean(value)
    return value


def _numeric(rows: Sequence[Sequence[str]], column: int) -> bool:
    """Is a column made of numbers, so that it is set flush right?"""
    words = {"–", "", UNKNOWN, "no clock"}
    cells = [row[column] for row in rows if row[column] not in words]
    return bool(cells) and all(cell[0].isdigit() or cell[0] in "+−<" for cell in cells)
