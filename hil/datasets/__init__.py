# SPDX-License-Identifier: Apache-2.0
"""Samples with stable ids, and their right answers if there are any: by name, or a user's own.

load_data     all that --data takes: files, names, random inputs
choose, load  MNIST, digits, CIFAR-10 and generated sets
load_npz      a user's arrays in a file
from_arrays   arrays in memory
subset, first, split_validation
"""

from __future__ import annotations

from hil.datasets.download import Progress
from hil.datasets.drawn import Drawing, draw
from hil.datasets.given import KINDS, Given, is_name, is_random, load_data
from hil.datasets.named import NAMES, check_name, choose, load
from hil.datasets.npz import from_arrays, load_npz
from hil.datasets.sampling import first, split_validation, subset

__all__ = [
    "KINDS",
    "NAMES",
    "Drawing",
    "Given",
    "Progress",
    "check_name",
    "choose",
    "draw",
    "first",
    "from_arrays",
    "is_name",
    "is_random",
    "load",
    "load_data",
    "load_npz",
    "split_validation",
    "subset",
]
