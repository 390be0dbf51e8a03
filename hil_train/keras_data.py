# SPDX-License-Identifier: Apache-2.0
"""Keras' data sets, for `hil bench --data keras:NAME`; an entry point of ``hil.datasets``."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final

import numpy as np

from hil.core.errors import DataError, unknown
from hil.core.records import Dataset
from hil.core.text import printable
from hil.datasets.arrays import as_samples
from hil.datasets.labels import answers
from hil.datasets.npz import dataset

_FASHION: Final = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_CIFAR10: Final = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
# Keras' name -> the classes' names, which Keras' documentation has and its files do not
NAMES: Final[dict[str, tuple[str, ...]]] = {
    "mnist": (),
    "fashion_mnist": _FASHION,
    "cifar10": _CIFAR10,
    "cifar100": (),
    "california_housing": (),
}
_PICTURES: Final = 3  # axes of pictures without channels


def load(name: str, split: str = "test") -> Dataset:
    """Load a split of ``keras.datasets.NAME``, which Keras downloads once into its own cache.

    Returns:
        ``x`` (n, height, width, channels) uint8, or (n, 8) float32; labels, or float targets of
        ``california_housing``; the fingerprint is the SHA-256 of both.

    Raises:
        UsageError: the name is not one of `NAMES`.
        DataError: it cannot be downloaded.
    """
    if name not in NAMES:
        raise unknown(f"keras:{printable(name)} is not known", name, NAMES)
    import keras  # takes seconds

    try:
        train, test = getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises Exception itself when a download fails
        raise DataError(
            f"keras:{name} cannot be loaded ({str(error).splitlines()[0]})",
            "connect to the network, or place its files in ~/.keras/datasets",
        ) from error
    given, right = train if split == "train" else test
    x = as_samples(np.asarray(given), f"keras:{name}")
    if x.ndim == _PICTURES:
        x = x[..., None]
    names = np.array(NAMES[name]) if NAMES[name] else None
    found = answers(np.asarray(right), len(x), f"keras:{name}", names)
    content = hashlib.sha256(np.ascontiguousarray(x).tobytes())
    content.update(np.ascontiguousarray(right).tobytes())
    return replace(dataset(f"keras-{name}", x, found, content.hexdigest()), split=split)
