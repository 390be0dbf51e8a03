# SPDX-License-Identifier: Apache-2.0
"""Data sets that other packages have: ``sklearn:iris``, or ``keras:fashion_mnist``."""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np

from hil.core.errors import unknown
from hil.core.plugins import DATASETS, plugin
from hil.core.records import Dataset
from hil.core.text import printable
from hil.datasets.arrays import as_samples
from hil.datasets.labels import answers
from hil.datasets.npz import dataset

SKLEARN: Final = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
COLLECTIONS: Final = ("sklearn", "keras")


def load(collection: str, name: str, split: str = "test") -> Dataset:
    """Load ``name`` of a collection.

    Args:
        collection: one of `COLLECTIONS`.
        name: as the collection calls it. Of scikit-learn, those that come with it, whole; of Keras,
            those with pictures, which it may download.
        split: ``train`` or ``test``, where the collection has both.

    Raises:
        UsageError: it has no such data set.
        ToolMissing: the package that loads it is not installed.
        DataError: it cannot be downloaded.
    """
    if collection == "sklearn":
        return _sklearn(name)
    read = plugin(DATASETS, collection, f"the data set {collection}:{name}")
    found = read(name, split)
    assert isinstance(found, Dataset)
    return found


def _sklearn(name: str) -> Dataset:
    if name not in SKLEARN:
        raise unknown(f"scikit-learn comes with no data set {printable(name)}", name, SKLEARN)
    import sklearn.datasets  # takes a second to import

    source: Any = getattr(sklearn.datasets, f"load_{name}")()
    where = f"sklearn:{name}"
    x = as_samples(np.asarray(source.data), where)
    right = answers(np.asarray(source.target), len(x), where)
    names = () if right.targets is not None else [str(one) for one in source.target_names]
    if len(names):
        right = answers(right.y, len(x), where, np.array(names))
    y = right.y.astype("<i8") if right.targets is None else right.targets.astype("<f4")
    content = x.astype("<f4").tobytes() + y.tobytes()
    return dataset(f"sklearn-{name}", x, right, hashlib.sha256(content).hexdigest())
