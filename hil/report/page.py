# SPDX-License-Identifier: Apache-2.0
"""A document -> one self-contained HTML file and its drawings as SVG files.

The page makes no requests; its drawings are inline. Its script only sorts and filters: everything
is readable without it.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
from collections.abc import Iterator, Sequence

from jinja2 import Environment
from markupsafe import Markup

from hil.report.blocks import KINDS, Block, Card, Clouds, Confusions, Scatters, Vector
from hil.report.document import Document
from hil.report.draw.chart import HUES, PALETTE, Chart, Drawing, Square
from hil.report.draw.scatter import HEIGHT
from hil.report.draw.templates import environment
from hil.report.text import UNKNOWN

_SLOT, _TALL = 12, 36  # width of a class in a card's bars, and height of a probability of 1


def page(document: Document) -> str:
    """The whole page; every value in it is cleaned and escaped."""
    templates = _environment()
    # the policy allows this style and this script, by their hashes, and nothing else
    style = templates.get_template("page.css.j2").render()
    assert templates.loader is not None
    script = templates.loader.get_source(templates, "script.js")[0]
    return templates.get_template("page.html.j2").render(
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
def _environment() -> Environment:
    """The templates, compiled once per process."""
    made = environment("hil.report")
    made.filters |= {
        "kind": lambda block: type(block).__name__,
        "bars": _bars,
        "ink": _ink,
        "square": _square,
        "first_of": lambda values, n: list(values[:n]),
    }
    return made


def _hash(text: str) -> str:
    """What a Content-Security-Policy calls an element with this text."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _numeric(rows: Sequence[Sequence[str]], column: int) -> bool:
    """Whether a column holds numbers, so that it is aligned right."""
    words = {"–", "", UNKNOWN, "no clock"}
    cells = [row[column] for row in rows if row[column] not in words]
    return bool(cells) and all(cell[0].isdigit() or cell[0] in "+−<" for cell in cells)


def _given(card: Card, runs: int) -> str:
    """The device's answers, one per run in order; "-" if a run has none."""
    said = {answer.run: str(answer.device) for answer in card.answers}
    return " ".join(said.get(run, "-") for run in range(runs))


def _bars(vector: Vector, place: int, of: int) -> str:
    """An SVG path of vertical strokes: the ``place``-th of ``of`` in each class's slot."""
    wide = (_SLOT - 2) / of
    pieces = []
    for i, share in enumerate(vector.shares):
        tall = round(_TALL * share, 1)
        if tall >= 0.2:
            pieces.append(f"M{_SLOT * i + 1 + wide * (place + 0.5):g} {_TALL + 2}v-{tall:g}")
    return "".join(pieces)


# of a matrix, as style.css has them
_SQUARES = {"right": (40, 120, 180), "wrong": (214, 90, 20)}


def figures(document: Document) -> dict[str, str]:
    """Every drawing of the report by file name; the same document gives the same text."""
    found: dict[str, str] = {}
    for section in document.sections:
        for block in section.blocks:
            for title, drawing in _drawings(block):
                name = stem = _stem(f"{section.key} {title}")
                while f"{name}.svg" in found:  # two boards may have runs of the same name
                    name = f"{stem}-{len(found)}"
                found[f"{name}.svg"] = drawn(drawing)
    return found


def drawn(drawing: Drawing) -> str:
    """One drawing as an SVG file."""
    kind = type(drawing).__name__.lower()
    figure = _environment().get_template("figure.svg.j2")
    return figure.render(kind=kind, d=drawing, height=HEIGHT)


def _drawings(block: Block) -> Iterator[tuple[str, Drawing]]:
    """(title, drawing) for each drawing of a block."""
    match block:
        case Chart():
            yield block.title, block
        case Scatters(items=scatters):
            for scatter in scatters:
                yield scatter.title, scatter
        case Clouds(items=clouds):
            for cloud in clouds:
                yield cloud.title, cloud
        case Confusions(items=matrices):
            for matrix in matrices:
                yield f"confusion {matrix.name}", matrix
        case _:
            pass


def _stem(title: str) -> str:
    """A file name that cannot leave the folder or be hidden, whatever the title."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-") or "figure"


def _ink(css: str, of_row: str = "") -> str:
    """The colour that the page's style gives a class, or the bar in a row of that class."""
    if css in PALETTE:
        return PALETTE[css]
    words = (of_row or css).split()
    hue = next((word[4:] for word in words if word.startswith("hue-")), "")
    if hue not in HUES:
        return PALETTE["quiet"]
    return PALETTE[HUES[hue] + ("-soft" if "soft" in words else "")]


def _square(square: Square) -> str:
    """A square's colour on white."""
    if square.kind not in _SQUARES:
        return "#ffffff"
    shade = min(square.shade, 1.0)
    mixed = (round(255 + (channel - 255) * shade) for channel in _SQUARES[square.kind])
    return "#" + "".join(f"{channel:02x}" for channel in mixed)
