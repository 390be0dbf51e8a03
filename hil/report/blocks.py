# SPDX-License-Identifier: Apache-2.0
"""What a report's sections are made of. Page and Markdown each draw every kind of block, so a new
figure is one line in hil/report/document.py and appears in both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from hil.report.accuracy import Confusion
from hil.report.draw.chart import Chart, Scatter
from hil.report.samples import Gallery
from hil.report.text import Table


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """Sentences; without a title when that is empty."""

    title: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """What a manager looks for: a name, the value in large letters, and what it says."""

    name: str
    value: str
    detail: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Large figures side by side."""

    items: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Scatters:
    title: str
    items: tuple[Scatter, ...]


@dataclass(frozen=True, slots=True)
class Confusions:
    """Matrices; ``mistakes`` says the commonest of them where nothing can be drawn."""

    title: str
    items: tuple[Confusion, ...]
    mistakes: Table


@dataclass(frozen=True, slots=True)
class Digits:
    """The samples worth a look, drawn; ``listed`` is the same in words, for some of them."""

    noun: str
    gallery: Gallery
    listed: Table


@dataclass(frozen=True, slots=True)
class Facts:
    """A table of two columns, name and value, without a head; folded unless ``open``."""

    table: Table
    open: bool = False


Block: TypeAlias = (
    Table | Chart | Words | Bullets | Figures | Scatters | Confusions | Digits | Facts
)


@dataclass(frozen=True, slots=True)
class Section:
    """``key`` is its anchor; ``blocks`` are never empty ones."""

    key: str
    title: str
    blocks: tuple[Block, ...]


def section(key: str, title: str, blocks: Iterable[Block | None]) -> Section:
    """A section of the blocks that have something to show."""
    return Section(key, title, tuple(block for block in blocks if block and not _empty(block)))


def _empty(block: Block) -> bool:
    match block:
        case Table(rows=rows) | Facts(table=Table(rows=rows)) | Chart(rows=rows):
            return not rows
        case Bullets(items=items) | Figures(items=items):
            return not items
        case Scatters(items=drawn):
            return not drawn
        case Confusions(items=matrices):
            return not matrices
        case Digits(gallery=gallery):
            return not gallery.total
        case Words(text=text):
            return not text
