"""What a recipe trains on: a named data set, or an ``.npz`` file of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hil import datasets
from hil.datasets import Progress
from hil.errors import ConfigError
from hil.kd import checks
from hil.kd.recipe import Recipe
from hil.kd.training import Split
from hil.records import Dataset


@dataclass(frozen=True)
class Data:
    """``test`` loads the test split: nothing may look at it before every choice is made.

    ``note``: why it is another data set than the recipe's; empty when it is not.
    """

    split: Split
    test: Callable[[], Dataset]
    note: str = ""


def load(
    recipe: Recipe, folder: Path, *, samples: int = 0, progress: Progress | None = None
) -> Data:
    """A recipe's data, cut and checked.

    Args:
        recipe: names the data set.
        folder: where an .npz file is looked for.
        samples: at most so many for training and validation together; 0: all.
        progress: told of a download.

    Raises:
        DataError: missing, wrong, or too small for its splits.
        UsageError: the recipe does not fit the data.
    """
    if recipe.dataset.endswith(".npz"):
        path = folder / recipe.dataset
        cut = datasets.split_validation(datasets.load_npz(path), recipe.test_share)
        whole, test = cut[0], replace(cut[1], split="test")
        data = Data(_split(recipe, whole, samples), lambda: test)
    else:
        if recipe.dataset not in datasets.NAMES:
            known = f"use one of {', '.join(datasets.NAMES)}, or an .npz file"
            raise ConfigError(f"the recipe's dataset {recipe.dataset!r} is not known", known)
        name, note = datasets.choose(recipe.dataset, "train", progress=progress)
        whole = datasets.load(name, "train", progress=progress)
        data = Data(
            _split(recipe, whole, samples),
            lambda: datasets.load(name, "test", progress=progress),
            note,
        )
    checks.data(recipe, data.split.train, data.split.validation)
    return data


def _split(recipe: Recipe, whole: Dataset, samples: int) -> Split:
    if samples:
        whole = datasets.subset(whole, samples)
    return Split(*datasets.split_validation(whole, recipe.validation_share))
