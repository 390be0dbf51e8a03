"""A document's drawings as SVG files of their own, for a paper: white, no style sheet, no script,
generic fonts, so that every program that reads SVG draws them alike."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import TypeAlias

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from hil.report.blocks import Block, Confusions, Scatters
from hil.report.chart import Chart, Scatter
from hil.report.document import Document
from hil.report.figures_confusion import Confusion, Square
from hil.report.figures_scatter import HEIGHT
from hil.report.text import clean
from hil.text_layout import shortened, widest, wrapped

Drawing: TypeAlias = Chart | Scatter | Confusion

# the page's light colours (templates/style.css), by class
_HUES = {
    "teacher": ("#0b62b0", "#6fa8dc"),
    "student": ("#c4480a", "#eb9a6c"),
    "third": ("#1b7a4b", "#72b794"),
    "fourth": ("#7440a8", "#b18fd6"),
    "fifth": ("#4a5560", "#98a3ad"),
}
_MEMORY = {
    "mem-a": "#3b4a8c",
    "mem-b": "#8fa0d8",
    "mem-c": "#d3bd7a",
    "mem-d": "#2f8f83",
    "mem-e": "#a05a8c",
    "mem-f": "#c98250",
    "mem-g": "#7d8790",
    "mem-h": "#c3cad1",
    "mem-i": "#c5cdee",
}
_QUIET = "#5a6570"
_SQUARES = {"right": (40, 120, 180), "wrong": (214, 90, 20)}


def figures(document: Document) -> dict[str, str]:
    """Every drawing of the report by its file name; the same document gives the same text."""
    found: dict[str, str] = {}
    for section in document.sections:
        for block in section.blocks:
            for title, drawing in _drawings(block):
                name = stem = _stem(f"{section.key} {title}")
                while f"{name}.svg" in found:  # two boards may have runs of one name
                    name = f"{stem}-{len(found)}"
                found[f"{name}.svg"] = drawn(drawing)
    return found


def drawn(drawing: Drawing) -> str:
    """One drawing as an SVG file."""
    kind = type(drawing).__name__.lower()
    return _template().render(kind=kind, d=drawing, height=HEIGHT, quiet=_QUIET)


@functools.cache
def _template() -> Template:
    """Compiled once a process."""
    environment = Environment(
        loader=PackageLoader("hil.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {
        "ink": _ink,
        "square": _square,
        "fit": lambda text, room, **how: shortened(clean(text), room, **how),
        "wrap": lambda text, room, **how: wrapped(clean(text), room, **how),
        "widest": lambda texts, **how: widest(map(clean, texts), **how),
        "first_of": lambda values, n: list(values[:n]),
    }
    return environment.get_template("figure.svg.j2")


def _drawings(block: Block) -> Iterator[tuple[str, Drawing]]:
    """(title, drawing) of a block that is drawn."""
    match block:
        case Chart():
            yield block.title, block
        case Scatters(items=scatters):
            for scatter in scatters:
                yield scatter.title, scatter
        case Confusions(items=matrices):
            for matrix in matrices:
                yield f"confusion {matrix.name}", matrix
        case _:
            pass


def _stem(title: str) -> str:
    """A file name: a stranger's string cannot leave the folder or hide in it."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60].strip("-") or "figure"


def _finalize(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return clean(value)
    return value


def _ink(css: str, of_row: str = "") -> str:
    """The colour that the page's style gives a class, or a bar of a row of that class."""
    if css in _MEMORY:
        return _MEMORY[css]
    words = (of_row or css).split()
    hue = next((word[4:] for word in words if word.startswith("hue-")), "")
    return _HUES[hue]["soft" in words] if hue in _HUES else _QUIET


def _square(square: Square) -> str:
    """A square's colour on white."""
    if square.kind not in _SQUARES:
        return "#ffffff"
    mixed = (round(255 + (part - 255) * min(square.shade, 1.0)) for part in _SQUARES[square.kind])
    return "#" + "".join(f"{part:02x}" for part in mixed)
