# SPDX-License-Identifier: Apache-2.0
"""The samples on which models, device, host or label disagree, drawn."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.text import clean
from hil.report.draw.chart import colour
from hil.report.pairs import teacher_and_student
from hil.runs.cells import Cell
from hil.runs.schema import Picture
from hil.stats import metrics


def png_uri(picture: Picture) -> str:
    """8-bit PNG as a data URI: grey as ink on paper, colours as they are."""
    height, width = picture.shape
    grey = picture.channels == 1
    values = bytes(255 - value for value in picture.pixels) if grey else picture.pixels
    line = width * picture.channels
    # each row starts with its filter type: 0, none
    rows = b"".join(b"\0" + values[y * line : (y + 1) * line] for y in range(height))

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0 if grey else 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def probabilities(outputs: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n, classes) real outputs -> the same as probabilities.

    Networks that end in a softmax say them themselves, in int8 to about one in 256 a class; the
    softmax of anything else. One rule for all rows, so that they can be compared.
    """
    near = outputs.shape[1] / 256
    already = (outputs >= 0) & (outputs <= 1 + near)
    if already.all() and np.abs(outputs.sum(axis=1) - 1).max() <= near:
        return outputs
    return metrics.softmax(outputs)


MOST = 240  # drawn; the rest are counted
IMAGES = 500_000  # characters of pictures in one page: those of colour take most of it
CLASSES = 20  # more make no readable bars

KINDS = (
    "device and host answer differently",
    "the teacher is right and the student wrong",
    "the student is right and the teacher wrong",
    "the models answer differently",
    "all answer alike, and wrong",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """``run`` is the place of its run in the report's order."""

    name: str
    device: int
    host: int | None  # None: the same
    right: bool
    run: int = 0


@dataclass(frozen=True, slots=True)
class Vector:
    """What a network says of every class: shares, whose sum is 1 (or 0: not finite)."""

    name: str
    css: str
    answer: int
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """One sample; ``image`` is a data URI, empty when the run stores no picture at all.
    ``vectors``: teacher's and student's, or the first run's alone."""

    id: str
    label: int
    kind: int  # index of KINDS
    answers: tuple[Answer, ...]
    image: str
    alt: str
    vectors: tuple[Vector, ...] = ()


@dataclass(frozen=True, slots=True)
class Gallery:
    """``counts`` has a number for each of KINDS; ``cards`` are at most MOST of them, those with
    a picture, by kind. ``runs`` names the runs that an answer's ``run`` points to."""

    cards: tuple[Card, ...]
    counts: tuple[int, ...]
    pictorial: bool = True  # False: samples are no pictures, so a table says it better
    runs: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return sum(self.counts)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Every label and answer of the cards, for a reader to choose from."""
        answers = {answer.device for card in self.cards for answer in card.answers}
        return tuple(sorted(answers | {card.label for card in self.cards}))


Pairs: TypeAlias = Sequence[tuple[int, int]]  # places of teacher and student


def gallery(cells: Sequence[Cell], pictures: Mapping[str, Picture]) -> Gallery:
    """Every sample with a disagreement, by kind and then in the order they were streamed."""
    answers: dict[str, list[Answer]] = {}
    labels: dict[str, int] = {}
    for run, cell in enumerate(cells):
        rows = zip(cell.ids, cell.labels, cell.answers, cell.host_answers, strict=True)
        for key, label, device, host in rows:
            labels.setdefault(key, int(label))
            other = None if device == host else int(host)
            answers.setdefault(key, []).append(
                Answer(cell.name, int(device), other, bool(device == label), run)
            )
    places = {cell.plan.key: i for i, cell in enumerate(cells)}
    pairs = [(places[t.plan.key], places[s.plan.key]) for t, s in teacher_and_student(cells)]
    kinds = {key: _kind(found, pairs) for key, found in answers.items()}
    keys = [key for kind in range(len(KINDS)) for key in answers if kinds[key] == kind]
    counts = tuple(sum(kinds[key] == kind for key in keys) for kind in range(len(KINDS)))
    # a bench keeps pictures of the most disputed samples alone: those are drawn
    shown = [key for key in keys if key in pictures] or keys
    vectors = _Vectors(cells, pairs)
    cards = tuple(
        _within(
            Card(
                key,
                labels[key],
                kinds[key] or 0,
                tuple(answers[key]),
                png_uri(pictures[key]) if key in pictures else "",
                _alt(key, labels[key], answers[key]),
                tuple(vectors.of(key, labels[key])),
            )
            for key in shown[:MOST]
        )
    )
    pictorial = bool(pictures) or any(len(cell.plan.input.shape) == 4 for cell in cells)
    return Gallery(cards, counts, pictorial, tuple(cell.name for cell in cells))


def _kind(answers: Sequence[Answer], pairs: Pairs) -> int | None:
    """Index of KINDS; None when all agree and are right."""
    if any(answer.host is not None for answer in answers):
        return 0
    if len({answer.device for answer in answers}) > 1:
        right = {answer.run: answer.right for answer in answers}
        both = [(right[t], right[s]) for t, s in pairs if t in right and s in right]
        if (True, False) in both:
            return 1
        return 2 if (False, True) in both else 3
    return None if answers[0].right else 4


def _alt(key: str, label: int, answers: Sequence[Answer]) -> str:
    said = ", ".join(
        f"{a.name} {a.device}" + ("" if a.host is None else f" (host {a.host})") for a in answers
    )
    return f"Sample {clean(key)}, label {label}; answers: {said}"


def _within(cards: Iterator[Card]) -> Iterator[Card]:
    """As many of the cards as the page has room for."""
    room = IMAGES
    for card in cards:
        room -= len(card.image)
        if room < 0:
            return
        yield card


class _Vectors:
    """Probabilities of a sample: of the pair in which the teacher is right and the student wrong,
    else of the first pair, else of the first run that answered."""

    def __init__(self, cells: Sequence[Cell], pairs: Pairs) -> None:
        self._cells = cells
        self._pairs = pairs
        self._at = [{key: i for i, key in enumerate(cell.ids)} for cell in cells]
        self._shares: dict[int, npt.NDArray[np.float64]] = {}
        self._models = [cell.plan.model for cell in cells]

    def of(self, key: str, label: int) -> Iterator[Vector]:
        pairs = [pair for pair in self._pairs if all(key in self._at[run] for run in pair)]
        telling = [pair for pair in pairs if [self._right(r, key, label) for r in pair] == [1, 0]]
        alone = [(run,) for run in range(len(self._cells)) if key in self._at[run]]
        for run in next(iter((*telling, *pairs, *alone)), ()):
            cell, i = self._cells[run], self._at[run][key]
            if not 2 <= cell.device.shape[1] <= CLASSES:
                return
            if run not in self._shares:
                found = probabilities(cell.reals(cell.device))
                self._shares[run] = np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)
            shares = tuple(float(share) for share in self._shares[run][i])
            css = colour(cell, self._models)
            yield Vector(cell.name, css, int(cell.answers[i]), shares)

    def _right(self, run: int, key: str, label: int) -> bool:
        return bool(self._cells[run].answers[self._at[run][key]] == label)
