"""Labelled digits with stable ids: MNIST, scikit-learn's digits, or a user's own arrays."""

from hil.datasets.catalog import NAMES, SPLITS, choose, load
from hil.datasets.npz import load_npz
from hil.datasets.progress import Progress
from hil.datasets.sampling import split_validation, subset

__all__ = [
    "NAMES",
    "SPLITS",
    "Progress",
    "choose",
    "load",
    "load_npz",
    "split_validation",
    "subset",
]
