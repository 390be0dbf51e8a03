# SPDX-License-Identifier: Apache-2.0
"""Subsets and validation splits: fixed, stratified, nested.

The order comes from hashes of the ids, not from a random generator, so that it is the same under
every version of NumPy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from hil.core.errors import UsageError
from hil.core.records import Dataset

SALT: Final = b"tinyml-hil"


def stratified_order(ids: Sequence[str], y: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """A fixed permutation of the samples in which every prefix is stratified.

    The j-th sample of a class with n members is placed at j/n: the first k samples are one of each
    of the k classes; after that each class keeps its share.

    Args:
        ids: n stable ids.
        y: (n,) labels.

    Returns:
        (n,) positions.
    """
    # MNIST's first 5,000 test digits are easier than the rest: "the first n" would be biased
    hashes = np.array(
        [hashlib.blake2b(i.encode(), digest_size=8, key=SALT).digest() for i in ids], dtype="V8"
    ).view(">u8")
    place = np.empty(len(y))
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        ranked = members[np.argsort(hashes[members], kind="stable")]
        place[ranked] = np.arange(len(ranked)) / len(ranked)
    return np.lexsort((hashes, place)).astype(np.int64)


def subset(dataset: Dataset, n: int) -> Dataset:
    """The first ``n`` samples of the data set's fixed order; all of them when it has fewer.

    Nested: ``subset(ds, a)`` is a prefix of ``subset(ds, b)`` for a <= b.

    Raises:
        UsageError: ``n`` is less than 1.
    """
    if n < 1:
        raise UsageError(f"a subset of {n} samples is empty", "ask for at least one")
    return take(dataset, stratified_order(dataset.ids, dataset.y)[:n])


def first(dataset: Dataset, n: int) -> Dataset:
    """The first ``n`` samples as they are stored: the beginning of a sequence."""
    return take(dataset, np.arange(min(n, len(dataset)), dtype=np.int64))


def split_validation(dataset: Dataset, share: float = 0.1) -> tuple[Dataset, Dataset]:
    """Cut a fixed, stratified validation split from a training set.

    Args:
        dataset: the training set.
        share: of the samples for validation, 0 < share < 1.

    Returns:
        (train, validation), each in the original order, with that name as ``split``.

    Raises:
        UsageError: one of them would be empty.
    """
    count = round(len(dataset) * share)
    if not 0 < count < len(dataset):
        raise UsageError(
            f"a validation share of {share} leaves {len(dataset) - count} of {len(dataset)} "
            "samples for training",
            "choose a share such as 0.1",
        )
    order = stratified_order(dataset.ids, dataset.y)
    train = replace(take(dataset, np.sort(order[count:])), split="train")
    return train, replace(take(dataset, np.sort(order[:count])), split="validation")


def take(dataset: Dataset, positions: npt.NDArray[np.int64]) -> Dataset:
    """The samples at ``positions``, in that order; name, split and fingerprint stay."""
    y = dataset.y[positions]
    named = {name: values[positions] for name, values in dataset.named.items()}
    x = next(
        (named[name] for name, values in dataset.named.items() if values is dataset.x),
        dataset.x[positions],
    )
    targets = None if dataset.targets is None else dataset.targets[positions]
    for array in (x, y, *named.values(), *(() if targets is None else (targets,))):
        array.setflags(write=False)
    ids = tuple(dataset.ids[i] for i in positions)
    return replace(dataset, ids=ids, x=x, y=y, named=named, targets=targets)
