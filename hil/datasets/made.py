# SPDX-License-Identifier: Apache-2.0
"""Generated data sets: `tabular` and `noise` are float32 features, `cifar10-made` is images of ten
shapes in CIFAR-10's format.

All use `numpy.random.RandomState`, whose streams NumPy has frozen, so that a seed gives the same
samples under every version.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.errors import DataError
from hil.core.records import Dataset
from hil.datasets import cifar10
from hil.datasets.sampling import stratified_order

SEED: Final = 42  # of the write-up, which uses it for its split only
TABULAR_SAMPLES, TABULAR_TEST = 1_000, 200
FEATURES, INFORMATIVE, CLASSES = 20, 15, 3
_PLACES: Final = 4  # decimals kept: a linear algebra library's last bit must not change the data

NOISE_SEED: Final = 0
NOISE_SAMPLES: Final = {"train": 1_000, "test": 200}
NOISE_FEATURES, NOISE_CLASSES = 10, 2

SHAPES: Final = "cifar10-made"
SHAPES_SAMPLES: Final = {"train": 5_000, "test": 1_000}
_SHAPES_SEEDS: Final = {"train": 1, "test": 2}
# cosine and sine of turns by 0, 16 and 23 degrees either way, exact ratios
_TURNS: Final = ((1.0, 0.0), (24 / 25, 7 / 25), (24 / 25, -7 / 25), (12 / 13, 5 / 13))
_NOISE: Final = 20  # largest change of a value, of 255
_DARK, _BRIGHT = (
    110,
    130,
)  # the background is below _DARK, the shape above _BRIGHT

Reals: TypeAlias = npt.NDArray[np.float64]
Bools: TypeAlias = npt.NDArray[np.bool_]


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
        ``x`` (800 or 200, 20) float32, not standardised, as in the write-up (mean about 0, standard
        deviation 1 to 4); ``y`` (n,) int64 of 0..2; ids ``tabular-test-00042`` with the sample's
        number in the whole set. The split is fixed and stratified.
    """
    x, y = _tabular()
    order = stratified_order([f"tabular-{i:05d}" for i in range(len(y))], y)
    chosen = np.sort(order[:TABULAR_TEST] if split == "test" else order[TABULAR_TEST:])
    return _dataset("tabular", split, x[chosen].astype(np.float32), y[chosen], chosen)


def noise(split: str) -> Dataset:
    """Nothing to learn: features are uniform in [0, 1), labels are independent of them.

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
        raise DataError(f"{name} contains NaN or infinity", "reinstall NumPy and scikit-learn")
    x.setflags(write=False)
    y.setflags(write=False)
    content = x.astype("<f4").tobytes() + y.astype("<i8").tobytes()
    ids = tuple(f"{name}-{split}-{i:05d}" for i in numbers)
    return Dataset(name, split, ids, x, y, hashlib.sha256(content).hexdigest())


@functools.cache
def shapes(split: str) -> Dataset:
    """Images of ten shapes in CIFAR-10's format, which stand in for it where it is missing.

    Returns:
        ``x`` (5,000 or 1,000, 32, 32, 3) uint8, ``y`` (n,) int64 of 0..9 (equally many of each),
        ids ``cifar10-made-test-00042``, fingerprint as CIFAR-10's.
    """
    n = SHAPES_SAMPLES[split]
    random = np.random.RandomState(_SHAPES_SEEDS[split])
    y = random.permutation(np.arange(n) % cifar10.CLASSES).astype(np.int64)
    return cifar10.dataset(SHAPES, split, _draw(random, y), y)


def _draw(random: np.random.RandomState, y: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """(n,) classes -> (n, 32, 32, 3) images: a shape, a crossing bar, a background and noise."""
    n, side = len(y), cifar10.SIDE
    rows, columns = np.mgrid[0:side, 0:side].astype(np.float64)
    radius = random.randint(6, 13, (n, 1, 1))
    centre = random.randint(10, 22, (2, n, 1, 1))
    turn = np.array(_TURNS)[random.randint(0, len(_TURNS), n)]
    cosine, sine = turn[:, 0, None, None], turn[:, 1, None, None]
    down, right = rows - centre[0], columns - centre[1]
    v = (down * cosine - right * sine) / radius
    u = (down * sine + right * cosine) / radius
    shape = np.zeros((n, side, side), bool)
    for label, inside in enumerate(_INSIDE):
        rows_of = y == label
        shape[rows_of] = inside(u[rows_of], v[rows_of])
    colours = random.randint(0, _DARK, (2, n, 1, 1, 3))  # top and bottom of the background
    share = (rows / (side - 1))[None, ..., None]
    ground = colours[0] * share + colours[1] * (1 - share)
    picture = np.where(shape[..., None], random.randint(_BRIGHT, 256, (n, 1, 1, 3)), ground)
    dark = random.randint(0, 2, (n, 1, 1, 1)) == 1  # bright on dark, or dark on bright
    picture = np.where(dark, 255 - picture, picture)
    bar = random.randint(0, side - 2, (n, 1, 1))
    crossed = (columns >= bar) & (columns < bar + 2)
    picture = np.where(crossed[..., None], random.randint(0, 256, (n, 1, 1, 3)), picture)
    picture = picture + random.randint(-_NOISE, _NOISE + 1, (n, side, side, 3))
    return np.asarray(np.clip(np.floor(picture), 0, 255), np.uint8)


def _far(u: Reals, v: Reals) -> Reals:
    return np.maximum(np.abs(u), np.abs(v))


def _disk(u: Reals, v: Reals) -> Bools:
    return np.asarray(u * u + v * v < 1)


def _square(u: Reals, v: Reals) -> Bools:
    return np.asarray(_far(u, v) < 0.9)


def _triangle(u: Reals, v: Reals) -> Bools:
    return np.asarray((v < 0.9) & (v > 2 * np.abs(u) - 1))


def _cross(u: Reals, v: Reals) -> Bools:
    return np.asarray((np.minimum(np.abs(u), np.abs(v)) < 0.3) & (_far(u, v) < 1))


def _ring(u: Reals, v: Reals) -> Bools:
    return np.asarray(_disk(u, v) & (u * u + v * v > 0.4))


def _lying(u: Reals, v: Reals) -> Bools:
    return np.asarray((_far(u, v) < 1) & (np.floor((v + 1) * 2.5) % 2 == 0))


def _standing(u: Reals, v: Reals) -> Bools:
    return np.asarray((_far(u, v) < 1) & (np.floor((u + 1) * 2.5) % 2 == 0))


def _checks(u: Reals, v: Reals) -> Bools:
    return np.asarray((_far(u, v) < 1) & ((np.floor(u * 2) + np.floor(v * 2)) % 2 == 0))


def _frame(u: Reals, v: Reals) -> Bools:
    return np.asarray((_far(u, v) < 0.95) & (_far(u, v) > 0.6))


def _pair(u: Reals, v: Reals) -> Bools:
    return np.asarray(_disk((np.abs(u) - 0.55) / 0.42, v / 0.42))


# by class: whether the point (u, v) is inside the shape
_INSIDE: Final = (
    _disk,
    _square,
    _triangle,
    _cross,
    _ring,
    _lying,
    _standing,
    _checks,
    _frame,
    _pair,
)
