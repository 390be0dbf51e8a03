"""What the tests that train have in common."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from hil.records import Dataset
from tests.needs import skip_without

_MISSING = [name for name in ("tensorflow", "keras") if not importlib.util.find_spec(name)]

# a module's pytestmark: found by `-m train`, skipped on a light install
needs_tensorflow = [
    pytest.mark.train,
    skip_without(_MISSING),
    # Keras reads variables in a way that NumPy 2 wants spelt differently
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't:DeprecationWarning"),
]


def bars(n: int, seed: int = 0, split: str = "train") -> Dataset:
    """Two classes that even one epoch tells apart: an upright and a lying bar."""
    random = np.random.RandomState(seed)
    x = np.zeros((n, 28, 28, 1), np.uint8)
    y = np.arange(n, dtype=np.int64) % 2
    for i in range(n):
        at = random.randint(6, 20)
        box = (i, slice(4, 24), slice(at, at + 3)) if y[i] else (i, slice(at, at + 3), slice(4, 24))
        x[box] = random.randint(128, 256)
    x[0, 0, 0, 0] = 255  # so that calibration sees the whole range
    return Dataset("bars", split, tuple(f"bars-{i:05d}" for i in range(n)), x, y, "b" * 64)
