# SPDX-License-Identifier: Apache-2.0
"""The data sets by name, and which one to take when the user leaves it open."""

from __future__ import annotations

from hil.core.errors import DataError, UsageError
from hil.core.records import Dataset
from hil.datasets import cifar10, digits, made, mnist
from hil.datasets.download import Progress

NAMES = ("mnist", "digits", "tabular", "noise", "cifar10", made.NAME)
SPLITS = ("train", "test")


def load(name: str, split: str = "test", *, progress: Progress | None = None) -> Dataset:
    """Load a split of a named data set.

    Args:
        name: one of `NAMES`.
        split: ``train`` or ``test``.
        progress: told of a download, should one be needed.

    Returns:
        ``x`` (n, 28, 28, 1) or (n, 32, 32, 3) uint8, or (n, features) float32; ``y`` (n,) int64;
        arrays are read-only.

    Raises:
        UsageError: no such data set or split.
        DataError: the files are missing, truncated or foreign.
    """
    if split not in SPLITS:
        raise UsageError(f"no split called {split!r}", f"choose one of {', '.join(SPLITS)}")
    if name == "mnist":
        return mnist.load(split, progress=progress)
    if name == "digits":
        return digits.load(split)
    if name == "tabular":
        return made.tabular(split)
    if name == "noise":
        return made.noise(split)
    if name == "cifar10":
        return cifar10.load(split, progress=progress)
    if name == made.NAME:
        return made.load(split)
    raise UsageError(f"no data set called {name!r}", f"choose one of auto, {', '.join(NAMES)}")


def choose(name: str, split: str = "test", *, progress: Progress | None = None) -> tuple[str, str]:
    """Resolve a name to a data set that this machine has or gets.

    ``auto`` is MNIST when its files are here or download; digits otherwise. ``cifar10`` is
    CIFAR-10 on the same terms, else the set drawn in its format, ``cifar10-made``. Files that are
    here but wrong are an error, not a reason to take another data set in silence.

    Returns:
        The name, and a note for the report: empty, or why it is not what was asked for.

    Raises:
        UsageError: no such data set.
        DataError: MNIST files were found, and they are not MNIST.
    """
    if name == "cifar10":
        return _choose_cifar10(progress)
    if name in NAMES:
        return name, ""
    if name != "auto":
        raise UsageError(f"no data set called {name!r}", f"choose one of auto, {', '.join(NAMES)}")
    if mnist.found(split):
        mnist.load(split)  # refuses wrong files now, before anything is built
        return "mnist", ""
    try:
        mnist.fetch(split, progress=progress)
    except DataError as error:
        note = f"MNIST is not here ({error.what}): scikit-learn's digits were used instead"
        return "digits", note
    return "mnist", ""


def _choose_cifar10(progress: Progress | None) -> tuple[str, str]:
    if cifar10.found():
        return "cifar10", ""
    try:
        cifar10.fetch(progress=progress)
    except DataError as error:
        note = (
            f"This is not CIFAR-10, which is not here ({error.what}): shapes drawn in its format "
            f"({made.NAME}) were used instead. Accuracy on them says nothing about CIFAR-10."
        )
        return made.NAME, note
    return "cifar10", ""
