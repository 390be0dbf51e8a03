# SPDX-License-Identifier: Apache-2.0
"""What others published about the same networks, beside this run's figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hil.report.blocks import Table
from hil.report.text import UNKNOWN, count, percent
from hil.report.times import time_words
from hil.runs.cells import Cell
from hil.runs.schema import Manifest

_NOTHING = "not published"


@dataclass(frozen=True, slots=True)
class Published:
    """Published figures of one network, as text."""

    model: str
    precision: str
    accuracy: str
    time: str = _NOTHING
    arena: str = _NOTHING


@dataclass(frozen=True, slots=True)
class WriteUp:
    """A tutorial or write-up. ``source`` and ``data`` head its rows; ``note`` says why its figures
    and ours are not directly comparable."""

    source: str
    data: str
    note: str
    rows: tuple[Published, ...]


_MNIST = WriteUp(
    "tutorial, ESP32",
    "mnist",
    "Not directly comparable. The tutorial trained on the first 6,000 images, one at a time, for "
    "five epochs, and timed a physical ESP32; its arena is all that TFLM asked for. Ours are "
    "other weights, another engine and another processor, and an emulator has no latency.",
    (
        Published("teacher", "float32", "99.04%", "did not run", "108,160 B needed, 90,148 B free"),
        Published("student", "float32", "92.81%", "52 ms"),
    ),
)
_TABULAR = WriteUp(
    "write-up, Keras",
    "its own draw",
    "Not directly comparable. The write-up drew its data without a seed, so nobody can draw it "
    "again; its student distilled softmax outputs, in float32 on a computer.",
    (Published("student", "float32", "78.0%"),),
)
_CIFAR10 = WriteUp(
    "write-up, Keras",
    "cifar10",
    "Not directly comparable. The write-up measured in float32 on a computer. It kept "
    "training one student through alpha 0.5, 0.2 and 0.9, so its later figures are also of longer "
    "training.",
    (
        Published("student", "float32", "62.7% (alpha 0.5), 63.7% (0.2), 66.9% (0.9)"),
        Published("student", "float32", "63% (without a teacher)"),
    ),
)
_NOISE = WriteUp(
    "write-up, Keras",
    "its own draw",
    "Random labels cannot be learnt: any difference from 50%, in the write-up's figures as in "
    "ours, is chance.",
    (
        Published("teacher", "float32", "55.5%"),
        Published("student", "float32", "52.5%"),
    ),
)
# by name of the data set; nothing is published about a network of one's own
WRITE_UPS: Mapping[str, WriteUp] = MappingProxyType(
    {
        "mnist": _MNIST,
        "digits": _MNIST,
        "tabular": _TABULAR,
        "cifar10": _CIFAR10,
        "cifar10-made": _CIFAR10,
        "noise": _NOISE,
    }
)


def published(manifest: Manifest, cells: Sequence[Cell]) -> Table | None:
    """The write-up on this data beside this run; None if there is none, or none of its networks
    took part."""
    write_up = WRITE_UPS.get(manifest.dataset.name)
    rows = list(_rows(manifest, cells, write_up)) if write_up else []
    if write_up is None or not rows:
        return None
    note, ours = write_up.note, manifest.dataset.name
    if write_up.data in WRITE_UPS and write_up.data != ours:
        theirs = {"mnist": "MNIST", "cifar10": "CIFAR-10"}[write_up.data]
        note += f" And the data differ: this run is on '{ours}', not on {theirs}."
    head = ("Network", "Source", "Data", "Accuracy", "Time per inference", "Arena")
    source = "tutorial" if write_up.source.startswith("tutorial") else "write-up"
    return Table(f"Figures published by the {source}", head, tuple(rows), note)


def _rows(
    manifest: Manifest, cells: Sequence[Cell], write_up: WriteUp
) -> Iterator[tuple[str, ...]]:
    said: set[str] = set()
    for row in write_up.rows:
        ours = [cell for cell in cells if cell.plan.model == row.model and cell.n]
        if not ours:
            continue
        name = f"{row.model} {row.precision}"
        yield (name, write_up.source, write_up.data, row.accuracy, row.time, row.arena)
        if row.model in said:
            continue
        said.add(row.model)
        for cell in ours:
            arena = f"{cell.end.memory.arena:,} B" if cell.end else UNKNOWN
            data = f"{manifest.dataset.name}, {count(cell.n)}"
            accuracy = percent(cell.accuracy.point, cell.n)
            source = f"this run, {cell.plan.board}"
            time = " ".join(time_words(cell)[:2]).strip()
            yield (cell.name, source, data, accuracy, time, arena)
