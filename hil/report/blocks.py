# SPDX-License-Identifier: Apache-2.0
"""What a report's sections are made of.

The page and the Markdown file each show every kind of block, so that a section adds its figures to
both by returning blocks.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from hil.report.draw.chart import Chart, Cloud, Confusion, Scatter
from hil.runs.task import class_name


@dataclass(frozen=True, slots=True)
class Table:
    """``head`` and each of ``rows`` have the same length; the first column names the row. A cell
    may be broken into lines at its line breaks. ``folded``: it opens with a click on its title."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """A table of two columns, name and value, without a head; collapsed unless ``open``."""

    table: Table
    open: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of sentences; it has no title if that is empty."""

    title: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Figure:
    """A key figure: its name, its value in large letters, and a remark."""

    name: str
    value: str
    detail: str


@dataclass(frozen=True, slots=True)
class Figures:
    """Key figures side by side."""

    items: tuple[Figure, ...]


@dataclass(frozen=True, slots=True)
class Scatters:
    """Scatter plots side by side; without a title of their own if that is empty."""

    title: str
    items: tuple[Scatter, ...]


@dataclass(frozen=True, slots=True)
class Clouds:
    """Plots of many samples, side by side."""

    title: str
    items: tuple[Cloud, ...]


@dataclass(frozen=True, slots=True)
class Confusions:
    """Confusion matrices; ``mistakes`` lists the most common mistakes where nothing is drawn."""

    title: str
    items: tuple[Confusion, ...]
    mistakes: Table


KINDS: Final = (  # of disagreement, most interesting first
    "device and host answer differently",
    "the teacher is right and the student wrong",
    "the student is right and the teacher wrong",
    "the models answer differently",
    "all give the same wrong answer",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One run's answer to a sample. ``run``: the run's position in the report."""

    name: str
    device: int
    host: int | None  # None: the same, or not known
    right: bool | None  # None: the sample has no label
    run: int = 0


@dataclass(frozen=True, slots=True)
class Vector:
    """A network's probabilities of all classes; they sum to 1, or to 0 if not finite."""

    name: str
    css: str
    answer: int
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One sample. ``image``: a data URI, empty if the run stores no picture of it. ``vectors``: of
    teacher and student, or of the first run alone."""

    id: str
    label: int | None
    kind: int  # index into KINDS
    answers: tuple[Answer, ...]
    image: str
    alt: str
    vectors: tuple[Vector, ...] = ()


@dataclass(frozen=True, slots=True)
class Gallery:
    """Samples with a disagreement. ``counts``: how many there are of each of KINDS; ``cards``: the
    ones to draw; ``listed``: some of them as text. ``runs``: names that `Answer.run` points to."""

    noun: str
    cards: tuple[Card, ...]
    counts: tuple[int, ...]
    listed: Table
    pictorial: bool = True  # False: samples are not pictures, so only the table is shown
    runs: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # of the classes

    def named(self, number: int) -> str:
        """A class's name, or its number."""
        return class_name(self.names, number)

    @property
    def total(self) -> int:
        return sum(self.counts)

    @property
    def labelled(self) -> bool:
        return any(card.label is not None for card in self.cards)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Every label and answer on the cards, to filter by."""
        answers = {answer.device for card in self.cards for answer in card.answers}
        labels = {card.label for card in self.cards if card.label is not None}
        return tuple(sorted(answers | labels))


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell of a matrix: its figure, and a remark. ``shade``: of its background, 0 to 1.
    ``gauge``: the share that a bar shows, more than 1 if it is too much; None: no bar."""

    text: str
    beside: str = ""
    shade: float = 0.0
    gauge: float | None = None
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Matrix:
    """A figure of every network on every board. A row: its name, a detail, one entry per column."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[Entry, ...]], ...]
    note: str

    @property
    def table(self) -> Table:
        """The same without colours."""
        rows = tuple(
            (
                f"{name} ({detail})" if detail else name,
                *(f"{one.text}\n{one.beside}" if one.beside else one.text for one in entries),
            )
            for name, detail, entries in self.rows
        )
        return Table(self.title, ("Core", *self.columns), rows, self.note)


Block: TypeAlias = (
    Matrix
    | Table
    | Chart
    | Words
    | Bullets
    | Figures
    | Scatters
    | Clouds
    | Confusions
    | Gallery
    | Facts
)


@dataclass(frozen=True, slots=True)
class Section:
    """``key`` is its anchor; none of ``blocks`` is empty."""

    key: str
    title: str
    blocks: tuple[Block, ...]


def section(key: str, title: str, blocks: Iterable[Block | None]) -> Section:
    """A section of those blocks that have something to show."""
    return Section(key, title, tuple(block for block in blocks if block and not _empty(block)))


def _empty(block: Block) -> bool:
    match block:
        case Matrix(columns=columns):
            return not columns
        case Table(rows=rows) | Facts(table=Table(rows=rows)) | Chart(rows=rows):
            return not rows
        case Bullets(items=items) | Figures(items=items):
            return not items
        case Scatters(items=drawn):
            return not drawn
        case Clouds(items=clouds):
            return not clouds
        case Confusions(items=matrices):
            return not matrices
        case Gallery(total=total):
            return not total
        case Words(text=text):
            return not text
