"""A document -> one self-contained HTML file: no request, drawings inline. Its one script sorts and
filters what is there; everything is readable without it."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from hil.report.document import Document
from hil.report.figures_digits import KINDS, Card, Vector
from hil.report.figures_scatter import HEIGHT
from hil.report.text import UNKNOWN, clean, count

_SLOT, _TALL = 12, 36  # width of a class in a card's bars, and the height of a share of 1


def page(document: Document) -> str:
    """The whole page. Every string that is not the template's own is cleaned and escaped."""
    environment, script = _templates()
    # the policy lets this style and this script act, by their hashes, and nothing else
    style = environment.get_template("page.css.j2").render()
    return environment.get_template("page.html.j2").render(
        doc=document,
        kinds=KINDS,
        scatter_height=HEIGHT,
        numeric=_numeric,
        given=_given,
        slot=_SLOT,
        style=Markup(style),  # noqa: S704  (our own)
        script=Markup(script),  # noqa: S704  (our own)
        policy=f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'",
    )


@functools.cache
def _templates() -> tuple[Environment, str]:
    """The templates, compiled once a process, and the page's script."""
    loader = PackageLoader("hil.report")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters["count"] = count
    environment.filters["kind"] = lambda block: type(block).__name__
    environment.filters["bars"] = _bars
    return environment, loader.get_source(environment, "script.js")[0]


def _hash(text: str) -> str:
    """As a Content-Security-Policy names an element's text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


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


def _given(card: Card, runs: int) -> str:
    """The device's answers, one for each run in order; - where a run has none."""
    said = {answer.run: str(answer.device) for answer in card.answers}
    return " ".join(said.get(run, "-") for run in range(runs))


def _bars(vector: Vector, place: int, of: int) -> str:
    """An SVG path of upright strokes: the ``place``-th of ``of`` in each class's slot."""
    wide = (_SLOT - 2) / of
    pieces = []
    for i, share in enumerate(vector.shares):
        tall = round(_TALL * share, 1)
        if tall >= 0.2:
            pieces.append(f"M{_SLOT * i + 1 + wide * (place + 0.5):g} {_TALL + 2}v-{tall:g}")
    return "".join(pieces)
