# SPDX-License-Identifier: Apache-2.0
"""Labelled samples with stable ids, by name: MNIST, digits, CIFAR-10 and generated sets; or the
best that this machine has."""

from __future__ import annotations

from hil.core.errors import DataError, UsageError, unknown
from hil.core.records import Dataset
from hil.datasets import cifar10, digits, made, mnist
from hil.datasets.download import Progress

NAMES = ("mnist", "digits", "tabular", "noise", "cifar10", made.SHAPES)
SPLITS = ("train", "test")


def load(name: str, split: str = "test", *, progress: Progress | None = None) -> Dataset:
    """Load a split of a named data set.

    Args:
        name: one of `NAMES`.
        split: ``train`` or ``test``.
        progress: called while files are downloaded.

    Returns:
        ``x`` (n, 28, 28, 1) or (n, 32, 32, 3) uint8, or (n, features) float32; ``y`` (n,) int64;
        arrays are read-only.

    Raises:
        UsageError: the data set or the split is unknown.
        DataError: the files are missing, truncated or not the expected ones.
    """
    if split not in SPLITS:
        raise unknown(f"no split is called {split!r}", split, SPLITS)
    match name:
        case "mnist":
            return mnist.load(split, progress=progress)
        case "digits":
            return digits.load(split)
        case "tabular":
            return made.tabular(split)
        case "noise":
            return made.noise(split)
        case "cifar10":
            return cifar10.load(split, progress=progress)
        case made.SHAPES:
            return made.shapes(split)
        case _:
            raise _unknown(name)


def choose(name: str, split: str = "test", *, progress: Progress | None = None) -> tuple[str, str]:
    """Resolve ``auto`` and ``cifar10`` to a data set that this machine has or can download.

    ``auto`` is MNIST, else digits. ``cifar10`` is CIFAR-10, else generated images in its format,
    ``cifar10-made``. Files that are present but wrong are no reason to substitute another data set:
    `load` raises an error for them.

    Returns:
        The name for `load`, and a note for the report: empty, or why it is not the one asked for.

    Raises:
        UsageError: the data set is unknown.
    """
    try:
        match name:
            case "auto":
                mnist.fetch(split, progress=progress)
                return "mnist", ""
            case "cifar10":
                cifar10.fetch(progress=progress)
    except DataError as error:
        if name == "auto":
            note = f"MNIST is not available ({error.what}): scikit-learn's digits are used instead"
            return "digits", note
        note = (
            f"This is not CIFAR-10, which is not available ({error.what}): generated images "
            f"in its format ({made.SHAPES}) are used instead. Accuracy on them says nothing about "
            "CIFAR-10."
        )
        return made.SHAPES, note
    if name not in NAMES:
        raise _unknown(name)
    return name, ""


def check_name(name: str) -> None:
    """UsageError unless `choose` knows ``name``."""
    if name not in ("auto", *NAMES):
        raise _unknown(name)


def _unknown(name: str) -> UsageError:
    return unknown(f"no data set is called {name!r}", name, ("auto", *NAMES))
