# SPDX-License-Identifier: Apache-2.0
"""The same labels: numbered otherwise, or of other rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]

ROWS: Final = 32  # by which samples and labels may be apart
_LISTED: Final = 6  # renamed labels in a text
_NUMBERS: Final = [
    *("zero", "one", "two", "three", "four"),
    *("five", "six", "seven", "eight", "nine"),
]


@dataclass(frozen=True, slots=True)
class Order:
    """``rows``: (n,) where each sample stands in its file; ``labels``: (N, ...) all labels or
    targets of that file."""

    rows: Ints
    labels: npt.NDArray[np.generic]

    def taken(self, places: slice | Ints) -> Order:
        """The order of some of the samples."""
        return Order(self.rows[places], self.labels)


@dataclass(frozen=True, slots=True)
class Numbering:
    """Labels numbered otherwise: label i of the data is class ``new[i]`` of the network."""

    code: str
    how: str
    new: Ints


def numberings(y: Ints, classes: int, names: Sequence[str] = ()) -> list[Numbering]:
    """Every other numbering to try, of ``classes`` classes with ``names``."""
    high = int(y.max())
    if high < 1 or classes < 2:
        return []
    plain = np.arange(classes)
    if classes == 2:
        return [Numbering("labels-shifted", "swapped (0 is 1)", 1 - plain)]
    more = "labels-background" if high == classes - 2 else "labels-shifted"
    found = [
        Numbering(more, "plus 1", (plain + 1) % classes),
        Numbering("labels-shifted", "minus 1", (plain - 1) % classes),
        Numbering("labels-reversed", _first(plain[::-1]), plain[::-1].copy()),
    ]
    for words, texts in _alphabets(classes, names):
        rank = np.argsort(np.argsort(np.array(texts), kind="stable"), kind="stable")
        if not np.array_equal(rank, plain):
            ordered = ", ".join(sorted(texts)[:_LISTED]) + (", ..." if classes > _LISTED else "")
            way = f"{words} ({ordered}), which the {{}} numbers them by"
            found.append(Numbering("labels-alphabetical", way.format("network"), rank))
            inverse = np.argsort(rank, kind="stable")
            found.append(Numbering("labels-alphabetical", way.format("data"), inverse))
    seen: set[bytes] = {plain.tobytes()}
    return [one for one in found if not _known(one.new, seen)]


def _known(new: Ints, seen: set[bytes]) -> bool:
    key = np.asarray(new, np.int64).tobytes()
    before = key in seen
    seen.add(key)
    return before


def _alphabets(classes: int, names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    if len(names) == classes:
        yield "the alphabet", [name.lower() for name in names]
    if classes == len(_NUMBERS):
        yield "the alphabet", _NUMBERS
    if classes > 10:  # folders are often read in this order
        yield "the order of strings", [str(i) for i in range(classes)]


def _first(new: Ints) -> str:
    return in_words(new, np.arange(len(new)), 3)


def moved(order: Order, steps: int) -> npt.NDArray[np.generic]:
    """(n, ...) the labels of the rows that are ``steps`` after each sample's, around the end."""
    return order.labels[(order.rows + steps) % len(order.labels)]


def steps_for(order: Order) -> list[int]:
    """By how many rows to move labels."""
    most = min(ROWS, (len(order.labels) - 1) // 2)
    return [step for i in range(1, most + 1) for step in (i, -i)]


def moved_words(steps: int) -> str:
    """What `moved` does, in words."""
    rows = "the next row" if steps == 1 else "the row before" if steps == -1 else ""
    return rows or f"the row {abs(steps)} rows {'further on' if steps > 0 else 'before'}"


def renaming(said: Ints, y: Ints, classes: int) -> Ints:
    """(classes,) the answer that stands for each label: the assignment that makes the most answers
    right (`scipy.optimize.linear_sum_assignment`). Labels that do not occur keep their number if
    that is free."""
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((classes, classes))
    np.add.at(table, (y, said), 1)
    table += 0.5 * np.eye(classes)  # a tie changes nothing
    _, columns = linear_sum_assignment(table, maximize=True)
    return np.asarray(columns, np.int64)


def in_words(new: Ints, y: Ints, most: int = _LISTED) -> str:
    """Which of the labels that occur have another number."""
    every = [f"{old} is {new[old]}" for old in np.unique(y) if new[old] != old]
    more = len(every) - most
    return ", ".join(every[:most]) + (f", and {more} more" if more > 0 else "")
