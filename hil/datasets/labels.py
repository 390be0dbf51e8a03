# SPDX-License-Identifier: Apache-2.0
"""What the right answers of a user's data are: labels of classes, or float targets.

One rule decides, by the type and the shape of ``y`` for n samples:

    integers or booleans, (n,) or (n, 1)    labels, which count from 0; -1 and 1 alone are 0 and 1
    strings, (n,) or (n, 1)                 labels, by the array ``classes``, else sorted
    numbers, (n, k) with k > 1, in which    labels, one-hot
      each row is one 1 and otherwise 0
    all other numbers                       targets, float32
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from hil.core.errors import DataError
from hil.core.text import clean
from hil.datasets.arrays import LARGEST, NUMBERS, STRINGS, Array, is_finite

MOST_CLASSES: Final = 10_000  # different strings; more are not classes
_NAME: Final = 80  # characters of a class's name
_SHOWN: Final = 5  # classes in a note


@dataclass(frozen=True, slots=True)
class Answers:
    """The right answers of n samples.

    ``y``: (n,) labels, or -1. ``targets``: (n, ...) float32, or None. ``classes``: names of the
    labels 0, 1, ..., or empty. ``note``: what was converted, in words; usually empty.
    """

    y: npt.NDArray[np.int64]
    targets: npt.NDArray[np.float32] | None = None
    classes: tuple[str, ...] = ()
    note: str = ""


def unlabelled(n: int) -> Answers:
    """The answers of samples without labels."""
    return Answers(np.full(n, -1, np.int64))


def answers(y: Array, n: int, where: str, names: Array | None = None) -> Answers:
    """The right answers by the rule of this module.

    Args:
        y: what a file says of its ``n`` samples.
        where: its name in errors, such as "y in my.npz".
        names: strings, the classes' names in order; None: they are not known.

    Raises:
        DataError: ``y`` has another length, or is nothing that a network can be judged by.
    """
    if y.ndim < 1 or len(y) != n:
        rows = len(y) if y.ndim else "no"
        raise DataError(f"{where}: {n} samples, but {rows} labels", "save one for each sample")
    classes = _class_names(names, where) if names is not None else ()
    column = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if column.dtype.kind in STRINGS and column.ndim == 1:
        return _strings(column, where, classes)
    if column.dtype.kind not in NUMBERS:
        raise DataError(f"{where} is {y.dtype} of shape {y.shape}", "save numbers or strings")
    if column.dtype.kind != "f" and column.ndim == 1:
        return _integers(column, where, classes)
    if y.ndim == 2 and y.shape[1] > 1 and is_one_hot(y):
        return _named(Answers(y.argmax(1).astype(np.int64)), where, classes)
    return Answers(np.full(n, -1, np.int64), as_targets(y, where), classes)


def as_targets(y: Array, where: str) -> npt.NDArray[np.float32]:
    """Numbers as float32; DataError for NaN, infinity, and what does not fit in memory."""
    if y.size == 0 or y.size * 4 > LARGEST:
        raise DataError(f"{where} has shape {y.shape}", "save targets for fewer samples")
    with np.errstate(over="ignore"):  # what overflows is infinite, and refused below
        values = y.astype(np.float32, copy=False)
    if not is_finite(values):
        raise DataError(f"{where} contains NaN or infinity", "remove those samples")
    return values


def is_one_hot(y: Array) -> bool:
    """Whether each row of (n, k) numbers has one 1 and otherwise zeros."""
    ones = y == 1
    return bool((ones.sum(1) == 1).all() and ((y == 0) | ones).all())


def _integers(y: Array, where: str, classes: tuple[str, ...]) -> Answers:
    least, most = int(y.min()), int(y.max())
    values = y.astype(np.int64)
    if least == -1 and not ((values != -1) & (values != 1)).any() and most == 1:
        found = Answers(
            (values + 1) // 2,
            classes=classes or ("-1", "1"),
            note=f"{where}: the labels -1 and 1 are taken as the classes 0 and 1",
        )
        return _named(found, where, found.classes)
    if least < 0 or most > np.iinfo(np.int32).max:
        raise DataError(
            f"{where}: labels range from {least} to {most}",
            "labels are class numbers from 0; save the targets of a regression as float32",
        )
    return _named(Answers(values), where, classes)


def _strings(y: Array, where: str, classes: tuple[str, ...]) -> Answers:
    if y.dtype.itemsize > 4 * 1000:
        raise DataError(f"{where} has strings of {y.dtype}", "labels are short names")
    found, numbers = np.unique(y, return_inverse=True)
    if len(found) > MOST_CLASSES:
        raise DataError(
            f"{where} has {len(found):,} different strings",
            f"{MOST_CLASSES:,} is the limit: save the names of classes",
        )
    texts = [_text(one) for one in found]
    names = classes or tuple(sorted(set(texts)))
    place = {name: i for i, name in enumerate(names)}
    if unknown := [text for text in texts if text not in place]:
        raise DataError(
            f"{where}: {unknown[0]!r} is not one of the {len(classes)} classes",
            "correct the labels, or the array classes",
        )
    labels = np.array([place[text] for text in texts], np.int64)[numbers.reshape(-1)]
    some = ", ".join(f"{i} = {name}" for i, name in enumerate(names[:_SHOWN]))
    more = ", ..." if len(names) > _SHOWN else ""
    note = "" if classes else f"{where}: classes in alphabetical order: {some}{more}"
    return Answers(labels, None, names, note)


def _class_names(names: Array, where: str) -> tuple[str, ...]:
    if names.ndim != 1 or not 0 < len(names) <= MOST_CLASSES:
        raise DataError(
            f"{where}: classes has shape {names.shape}", "it must be one name for each class"
        )
    found = tuple(_text(one) for one in names)
    if len(set(found)) < len(found):
        raise DataError(f"{where}: classes has a name twice", "give each class its own name")
    return found


def _named(found: Answers, where: str, classes: tuple[str, ...]) -> Answers:
    """``found`` with the names of its classes; DataError if a label has none."""
    if classes and found.y.max() >= len(classes):
        raise DataError(
            f"{where}: a label is {found.y.max()}, but there are {len(classes)} classes",
            "correct the labels, or the array classes",
        )
    return Answers(found.y, None, classes, found.note)


def _text(name: object) -> str:
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
    return clean(text.strip(), _NAME)
