# SPDX-License-Identifier: Apache-2.0
"""scikit-learn's 1,797 handwritten digits, rendered in the style of MNIST.

The source (UCI "Optical Recognition of Handwritten Digits", test part, in scikit-learn's
wheel) is 8x8 pixels of 0..16: the ink counted in blocks of 4x4.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np
import numpy.typing as npt

from hil.core.records import Dataset
from hil.datasets.sampling import stratified_order

SIDE = 28  # of the image
BOX = 20  # the digit's longer side, as in MNIST
TEST = 500  # samples held out; the other 1,297 are for training
_LEVELS = 16  # the source's full ink
# shares of ink that become 0 and full ink, so that an edge is 1 to 2 pixels wide
_WHITE, _BLACK = 0.2, 0.8


def draw(digit: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Render one 8x8 digit in the style of MNIST.

    MNIST's recipe (LeCun et al. 1998): fit the ink into 20x20 keeping its proportions,
    anti-aliased, then centre its mass in 28x28.

    Args:
        digit: (8, 8), 0..16, with some ink.

    Returns:
        (28, 28) uint8, 0..255, ink is bright.
    """
    from scipy import ndimage

    rows, columns = np.flatnonzero(digit.any(1)), np.flatnonzero(digit.any(0))
    ink = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] / _LEVELS
    zoom = BOX / max(ink.shape)
    height, width = (max(1, round(side * zoom)) for side in ink.shape)
    # pixel centres of the target in source coordinates
    y = (np.arange(height) + 0.5) * ink.shape[0] / height - 0.5
    x = (np.arange(width) + 0.5) * ink.shape[1] / width - 0.5
    frame = 2  # blank margin for the spline
    grid = np.meshgrid(y + frame, x + frame, indexing="ij")
    smooth = ndimage.map_coordinates(np.pad(ink, frame), grid, order=3, mode="constant")
    sharp = np.clip((smooth - _WHITE) / (_BLACK - _WHITE), 0.0, 1.0)
    centre = ndimage.center_of_mass(sharp)
    image = np.zeros((SIDE, SIDE))
    top = int(np.clip(round((SIDE - 1) / 2 - centre[0]), 0, SIDE - height))
    left = int(np.clip(round((SIDE - 1) / 2 - centre[1]), 0, SIDE - width))
    image[top : top + height, left : left + width] = sharp
    # rounded to six places first: the last bit of a libm must not change a pixel
    return np.rint(np.round(image * 255, 6)).astype(np.uint8)


@functools.cache
def _all() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    # scikit-learn takes a second to import
    from sklearn.datasets import load_digits

    source = load_digits()
    images = np.stack([draw(digit) for digit in source.images])[..., None]
    return images, source.target.astype(np.int64)


def load(split: str) -> Dataset:
    """The fixed, stratified split into 1,297 training and 500 test digits.

    Returns:
        ``x`` (n, 28, 28, 1) uint8, ``y`` (n,) int64, ids ``digits-test-00042`` with the
        digit's number in scikit-learn's order; the fingerprint is the SHA-256 of the rendered
        pixels followed by the labels (little-endian int64).
    """
    images, labels = _all()
    order = stratified_order([f"digits-{i:05d}" for i in range(len(labels))], labels)
    chosen = np.sort(order[:TEST] if split == "test" else order[TEST:])
    x, y = images[chosen], labels[chosen]
    x.setflags(write=False)
    y.setflags(write=False)
    fingerprint = hashlib.sha256(x.tobytes() + y.astype("<i8").tobytes()).hexdigest()
    ids = tuple(f"digits-{split}-{i:05d}" for i in chosen)
    return Dataset("digits", split, ids, x, y, fingerprint)
