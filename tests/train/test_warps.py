# SPDX-License-Identifier: Apache-2.0
"""Views: the same bytes each time, ink kept, and what each change does, against SciPy."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from hil_train import batches
from hil_train.batches import Warp, warped

STILL = Warp(shift=0, turn=0, zoom=0, shear=0, bend=0)


def digits(n: int = 40) -> batches.Pictures:
    x = np.zeros((n, 28, 28, 1), np.uint8)
    x[:, 8:20, 10:18] = np.random.RandomState(0).randint(100, 256, (n, 12, 8, 1))
    return x


def test_nothing_changes_without_a_change() -> None:
    assert np.array_equal(warped(digits(), STILL, 1), digits())


def test_a_view_follows_from_its_seed() -> None:
    first, again, other = (warped(digits(), Warp(), seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("change", ["shift", "turn", "zoom", "shear", "bend"])
def test_each_change_changes_and_keeps_the_ink(change: str) -> None:
    x = digits()
    view = warped(x, msgspec.structs.replace(STILL, **{change: getattr(Warp(), change)}), 3)
    assert view.shape == x.shape
    assert (view != x).any(axis=(1, 2, 3)).all()
    assert np.allclose(view.sum(axis=(1, 2, 3)) / x.sum(axis=(1, 2, 3)), 1, atol=0.35)


def test_values_between_pixels_are_scipy_s() -> None:
    x = digits(5)[..., 0]
    random = np.random.RandomState(1)
    down, right = (random.uniform(-1, 28, x.shape).astype(np.float32) for _ in range(2))
    found = batches._between(x, down, right)
    for picture, i, j, value in zip(x.astype(float), down, right, found, strict=True):
        expected = map_coordinates(picture, [i, j], order=1, mode="constant")
        np.testing.assert_allclose(value, expected, atol=0.05)


def test_a_move_is_a_move() -> None:
    x = digits(30)
    view = warped(x, msgspec.structs.replace(STILL, shift=2.0), 5).astype(float)
    rows = np.arange(28)[None, :, None, None]
    moved = (view * rows).sum((1, 2, 3)) / view.sum((1, 2, 3))
    still = (x * rows).sum((1, 2, 3)) / x.sum((1, 2, 3))
    assert 0.5 < np.abs(moved - still).max() <= 2.05


def test_fixed_views_begin_with_the_picture_and_all_differ() -> None:
    x = digits(6)
    views = batches.fixed(x, Warp(views=4))
    assert views.shape == (6, 4, 1, 28, 28, 1)
    assert np.array_equal(views[:, 0, 0], x)
    for number, several in enumerate(views):
        assert len({view.tobytes() for view in several}) == 4, number
    assert np.array_equal(views[:, :2], batches.fixed(x, Warp(views=2)))
