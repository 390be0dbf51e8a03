# SPDX-License-Identifier: Apache-2.0
"""Labelled samples with stable ids: MNIST, digits, CIFAR-10, generated sets, or a user's arrays."""

from hil.datasets.catalog import NAMES, choose, load
from hil.datasets.download import Progress
from hil.datasets.npz import load_npz
from hil.datasets.sampling import split_validation, subset

__all__ = ["NAMES", "Progress", "choose", "load", "load_npz", "split_validation", "subset"]
