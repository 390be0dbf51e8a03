# SPDX-License-Identifier: Apache-2.0
"""The same labels, shifted by one or renamed, for answers that do not fit them."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

Ints: TypeAlias = npt.NDArray[np.int64]

_LISTED: Final = 6  # renamed labels in a text


def shifts(y: Ints, classes: int) -> list[tuple[str, str, Ints]]:
    """(code, how, other labels) for labels that count from another number."""
    high = int(y.max())
    if high < 1 or classes < 2:
        return []
    if classes == 2:
        return [("labels-shifted", "swapped (0 is 1)", 1 - y)]
    more = "labels-background" if high == classes - 2 else "labels-shifted"
    return [
        (more, "plus 1", (y + 1) % classes),
        ("labels-shifted", "minus 1", (y - 1) % classes),
    ]


def renaming(said: Ints, y: Ints, classes: int) -> Ints:
    """(classes,) the answer that stands for each label: the assignment that makes the most answers
    right (`scipy.optimize.linear_sum_assignment`). Labels that do not occur keep their number if
    that is free."""
    table = np.zeros((classes, classes))
    np.add.at(table, (y, said), 1)
    table += 0.5 * np.eye(classes)  # a tie changes nothing
    _, columns = linear_sum_assignment(table, maximize=True)
    return np.asarray(columns, np.int64)


def in_words(new: Ints, y: Ints) -> str:
    """Which of the labels that occur have another number."""
    every = [f"{old} is {new[old]}" for old in np.unique(y) if new[old] != old]
    more = len(every) - _LISTED
    return ", ".join(every[:_LISTED]) + (f", and {more} more" if more > 0 else "")
