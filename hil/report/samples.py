# SPDX-License-Identifier: Apache-2.0
"""The section of samples on which models, device, host or label disagree, drawn as cards."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.text import clean
from hil.report.blocks import KINDS, Answer, Card, Gallery, Section, Table, Vector, section
from hil.report.draw.chart import colour
from hil.report.pairs import distillations, lost_table, teacher_and_student
from hil.report.text import count, noun
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema import Picture
from hil.runs.task import class_name
from hil.stats.metrics import probabilities

MOST: Final = 240  # cards; the other samples are counted
IMAGES: Final = 500_000  # characters of pictures on one page, of which colour needs most
CLASSES: Final = 20  # bars of more classes are not readable
_LISTED: Final = 12  # samples as text


def samples_section(run: StoredRun, cells: Sequence[Cell]) -> Section:
    what = noun(run.manifest.dataset.name)
    return section(
        "digits",  # as links from outside have it
        f"{what.capitalize()}s",
        [gallery(cells, run.pictures, what), lost_table(distillations(cells), what)],
    )


def png_uri(picture: Picture) -> str:
    """A picture as a data URI of an 8-bit PNG: grey as ink on paper, colours as they are."""
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


Pairs: TypeAlias = Sequence[tuple[int, int]]  # positions of teacher and student


def gallery(cells: Sequence[Cell], pictures: Mapping[str, Picture], what: str) -> Gallery:
    """Every sample with a disagreement, by kind and then in the order of streaming."""
    answers: dict[str, list[Answer]] = {}
    labels: dict[str, int] = {}
    for run, cell in enumerate(cells):
        if not cell.chooses:
            continue
        given = cell.answers
        host = given if cell.host_answers is None else cell.host_answers
        for i, key in enumerate(cell.ids):
            if cell.labels is not None:
                labels.setdefault(key, int(cell.labels[i]))
            other = None if given[i] == host[i] else int(host[i])
            right = None if cell.right is None else bool(cell.right[i])
            answers.setdefault(key, []).append(Answer(cell.name, int(given[i]), other, right, run))
    places = {cell.plan.key: i for i, cell in enumerate(cells)}
    pairs = [(places[t.plan.key], places[s.plan.key]) for t, s in teacher_and_student(cells)]
    kinds = {key: _kind(found, pairs) for key, found in answers.items()}
    keys = [key for kind in range(len(KINDS)) for key in answers if kinds[key] == kind]
    counts = tuple(sum(kinds[key] == kind for key in keys) for kind in range(len(KINDS)))
    # the bench stores pictures of the most disputed samples only: those are drawn
    shown = [key for key in keys if key in pictures] or keys
    vectors = _Vectors(cells, pairs)
    names = next((cell.names for cell in cells if cell.names and cell.chooses), ())
    cards = tuple(
        _within(
            Card(
                key,
                labels.get(key),
                kinds[key] or 0,
                tuple(answers[key]),
                png_uri(pictures[key]) if key in pictures else "",
                _alt(key, labels.get(key), answers[key], partial(class_name, names)),
                tuple(vectors.of(key)),
            )
            for key in shown[:MOST]
        )
    )
    pictorial = bool(pictures) or any(len(cell.plan.input.shape) == 4 for cell in cells)
    found = Gallery(
        what,
        cards,
        counts,
        Table("", (), ()),
        pictorial,
        tuple(cell.name for cell in cells),
        names,
    )
    return replace(found, listed=disagreements(found))


def disagreements(found: Gallery) -> Table:
    """The first cards as text."""
    labelled, what = found.labelled, found.noun
    rows = tuple(
        (
            card.id,
            *([found.named(card.label)] if card.label is not None else ["–"] * labelled),
            _said(card.answers, found.named),
        )
        for card in found.cards[:_LISTED]
    )
    more = found.total - len(rows)
    note = f"{count(more)} more are in samples.jsonl." if more else ""
    title = f"{what.capitalize()}s on which answers {'or label ' if labelled else ''}disagree"
    return Table(
        title, (what.capitalize(), *(["Label"] if labelled else []), "Answers"), rows, note
    )


def _said(answers: Sequence[Answer], named: Callable[[int], str]) -> str:
    return ", ".join(
        f"{a.name} {named(a.device)}" + ("" if a.host is None else f" (host {named(a.host)})")
        for a in answers
    )


def _kind(answers: Sequence[Answer], pairs: Pairs) -> int | None:
    """Index into KINDS; None if all agree and are right."""
    if any(answer.host is not None for answer in answers):
        return 0
    if len({answer.device for answer in answers}) > 1:
        right = {answer.run: answer.right for answer in answers}
        both = [(right[t], right[s]) for t, s in pairs if t in right and s in right]
        if (True, False) in both:
            return 1
        return 2 if (False, True) in both else 3
    return 4 if answers[0].right is False else None


def _alt(
    key: str, label: int | None, answers: Sequence[Answer], named: Callable[[int], str]
) -> str:
    said = "" if label is None else f", label {clean(named(label))}"
    return f"Sample {clean(key)}{said}; answers: {clean(_said(answers, named))}"


def _within(cards: Iterator[Card]) -> Iterator[Card]:
    """As many of the cards as `IMAGES` allows."""
    room = IMAGES
    for card in cards:
        room -= len(card.image)
        if room < 0:
            return
        yield card


class _Vectors:
    """Probabilities of a sample, from the pair in which the teacher is right and the student wrong,
    otherwise from the first pair, otherwise from the first run that answered."""

    def __init__(self, cells: Sequence[Cell], pairs: Pairs) -> None:
        self._cells = cells
        self._pairs = pairs
        self._at = [{key: i for i, key in enumerate(cell.ids)} for cell in cells]
        self._shares: dict[int, npt.NDArray[np.float64]] = {}
        self._models = [cell.plan.model for cell in cells]

    def of(self, key: str) -> Iterator[Vector]:
        pairs = [pair for pair in self._pairs if all(key in self._at[run] for run in pair)]
        telling = [pair for pair in pairs if [self._right(r, key) for r in pair] == [True, False]]
        alone = [(run,) for run in range(len(self._cells)) if key in self._at[run]]
        for run in next(iter((*telling, *pairs, *alone)), ()):
            cell, i = self._cells[run], self._at[run][key]
            if cell.device is None or not 2 <= cell.device.shape[1] <= CLASSES or not cell.chooses:
                return
            if run not in self._shares:
                found = probabilities(cell.reals(cell.device))
                self._shares[run] = np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0)
            shares = tuple(float(share) for share in self._shares[run][i])
            css = colour(cell.plan.model, cell.plan.precision, self._models)
            yield Vector(cell.name, css, int(cell.answers[i]), shares)

    def _right(self, run: int, key: str) -> bool | None:
        right = self._cells[run].right
        return None if right is None else bool(right[self._at[run][key]])
