"""The data sets by name, and which one to take when the user leaves it open."""

from __future__ import annotations

from hil.datasets import digits, mnist
from hil.datasets.progress import Progress
from hil.errors import DataError, UsageError
from hil.records import Dataset

NAMES = ("mnist", "digits")
SPLITS = ("train", "test")


def load(name: str, split: str = "test", *, progress: Progress | None = None) -> Dataset:
    """Load a split of a named data set.

    Args:
        name: ``mnist`` or ``digits``.
        split: ``train`` or ``test``.
        progress: told of a download, should one be needed.

    Returns:
        ``x`` (n, 28, 28, 1) uint8, ``y`` (n,) int64; arrays are read-only.

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
    raise UsageError(f"no data set called {name!r}", f"choose one of auto, {', '.join(NAMES)}")


def choose(name: str, split: str = "test", *, progress: Progress | None = None) -> tuple[str, str]:
    """Resolve ``auto`` to a data set that this machine has or gets quickly.

    MNIST when its files are here or download; digits otherwise. Files that are
    here but wrong are an error, not a reason to take another data set in silence.

    Returns:
        The name, and a note for the report: empty, or why it is not MNIST.

    Raises:
        UsageError: no such data set.
        DataError: MNIST files were found, and they are not MNIST.
    """
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
