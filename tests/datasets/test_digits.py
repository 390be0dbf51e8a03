# SPDX-License-Identifier: Apache-2.0
"""scikit-learn's digits, rendered in the style of MNIST."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from hil import datasets
from hil.datasets import digits


def test_the_split_is_fixed_stratified_and_complete() -> None:
    train, test = datasets.load("digits", "train"), datasets.load("digits", "test")
    assert (len(train), len(test)) == (1297, 500)
    numbers = sorted(int(i.rsplit("-", 1)[1]) for i in train.ids + test.ids)
    assert numbers == list(range(1797))
    # each class has 28% of its digits in the test set
    shares = np.bincount(test.y) / (np.bincount(test.y) + np.bincount(train.y))
    np.testing.assert_allclose(shares, 500 / 1797, atol=0.01)
    # pinned: committed models and results name these samples
    assert test.ids[:3] == ("digits-test-00003", "digits-test-00009", "digits-test-00011")


def test_labels_belong_to_their_images() -> None:
    from sklearn.datasets import load_digits

    source = load_digits()
    test = datasets.load("digits", "test")
    for row in (0, 123, 499):
        number = int(test.ids[row].rsplit("-", 1)[1])
        assert test.y[row] == source.target[number]
        # scaled down again, the image is the source
        picture = np.asarray(test.x[row, ..., 0], float)
        ink = source.images[number]
        crop = ink[np.ix_(ink.any(1), ink.any(0))]
        drawn = picture[np.ix_(picture.any(1), picture.any(0))]
        zoom = [a / b for a, b in zip(crop.shape, drawn.shape, strict=True)]
        small = ndimage.zoom(drawn, zoom, order=1)
        assert np.corrcoef(small.ravel(), crop.ravel())[0, 1] > 0.8


def test_images_have_the_geometry_of_mnist() -> None:
    test = datasets.load("digits", "test")
    assert test.x.shape == (500, 28, 28, 1)
    assert test.x.dtype == np.uint8
    assert not test.x.flags.writeable
    assert test.x.max() == 255
    for picture in test.x[:, :, :, 0]:
        rows, columns = np.flatnonzero(picture.any(1)), np.flatnonzero(picture.any(0))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert 18 <= max(height, width) <= digits.BOX
        mass = ndimage.center_of_mass(picture.astype(float))
        # half a pixel of rounding, and a digit at the edge of its box stays inside
        np.testing.assert_allclose(mass, 13.5, atol=0.75)
    # MNIST's own digits: mean 33, a fifth of the pixels inked
    assert 25 < test.x.mean() < 50


def test_a_centred_square_stays_centred_and_square() -> None:
    square = np.full((8, 8), 16.0)
    picture = digits.draw(square)
    expected = np.zeros((28, 28), np.uint8)
    expected[4:24, 4:24] = 255
    assert (picture[6:22, 6:22] == 255).all()
    assert (picture[expected == 0] == 0).all()
    np.testing.assert_array_equal(picture, picture.T)
    np.testing.assert_array_equal(picture, picture[::-1, ::-1])


def test_fingerprints_differ_between_splits() -> None:
    one, other = datasets.load("digits", "train"), datasets.load("digits", "test")
    assert one.fingerprint != other.fingerprint
    assert len(one.fingerprint) == 64
