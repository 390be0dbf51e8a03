"""Data made from a seed: `tabular` and `noise`, float32 features in place of pixels.

Both are drawn from `numpy.random.RandomState`, whose streams NumPy has frozen, so that a seed gives
the same samples under every version.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np
import numpy.typing as npt

from hil.datasets.sampling import stratified_order
from hil.errors import DataError
from hil.records import Dataset

SEED = 42  # the write-up seeds its split alone, with this
TABULAR_SAMPLES, TABULAR_TEST = 1_000, 200
FEATURES, INFORMATIVE, CLASSES = 20, 15, 3

NOISE_SEED = 0
NOISE_SAMPLES = {"train": 1_000, "test": 200}
NOISE_FEATURES, NOISE_CLASSES = 10, 2

_PLACES = 4  # decimals kept: a linear algebra library's last bit must not change the data


@functools.cache
def _tabular() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    # scikit-learn takes a second to import
    from sklearn.datasets import make_classification

    x, y = make_classification(
        n_samples=TABULAR_SAMPLES,
        n_features=FEATURES,
        n_informative=INFORMATIVE,
        n_classes=CLASSES,
        random_state=SEED,
    )
    return np.round(x, _PLACES), y.astype(np.int64)


def tabular(split: str) -> Dataset:
    """scikit-learn's `make_classification`: 20 features, 15 of them informative, 3 classes.

    Returns:
        ``x`` (800 or 200, 20) float32, as they are drawn (the write-up does not standardise: mean
        about 0, standard deviation 1 to 4); ``y`` (n,) int64 of 0..2; ids ``tabular-test-00042``
        with the sample's number as drawn. The split is fixed and stratified.
    """
    x, y = _tabular()
    order = stratified_order([f"tabular-{i:05d}" for i in range(len(y))], y)
    chosen = np.sort(order[:TABULAR_TEST] if split == "test" else order[TABULAR_TEST:])
    return _dataset("tabular", split, x[chosen].astype(np.float32), y[chosen], chosen)


def noise(split: str) -> Dataset:
    """Nothing to learn: features uniform in [0, 1), labels drawn without looking at them.

    Returns:
        ``x`` (1,000 or 200, 10) float32, ``y`` (n,) int64 of 0..1, ids ``noise-test-00042``.
    """
    n = NOISE_SAMPLES[split]
    random = np.random.RandomState([NOISE_SEED, n])
    x = random.random_sample((n, NOISE_FEATURES)).astype(np.float32)
    y = random.randint(0, NOISE_CLASSES, n).astype(np.int64)
    return _dataset("noise", split, x, y, np.arange(n))


def _dataset(
    name: str,
    split: str,
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64],
) -> Dataset:
    if not np.isfinite(x).all():
        raise DataError(f"{name} came out with NaN or infinity", "reinstall NumPy and scikit-learn")
    x.setflags(write=False)
    y.setflags(write=False)
    content = x.astype("<f4").tobytes() + y.astype("<i8").tobytes()
    ids = tuple(f"{name}-{split}-{i:05d}" for i in numbers)
    return Dataset(name, split, ids, x, y, hashlib.sha256(content).hexdigest())
