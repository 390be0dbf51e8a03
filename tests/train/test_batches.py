# SPDX-License-Identifier: Apache-2.0
"""Views (compared with SciPy), batches of them, and the cache of arrays."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from hil_train import batches, distillation
from hil_train.batches import Warp, cached, warped
from tests.support.training import SMALL, bars, build, with_tensorflow

STILL = Warp(shift=0, turn=0, zoom=0, shear=0, bend=0)


def digits(n: int = 40) -> batches.Pictures:
    x = np.zeros((n, 28, 28, 1), np.uint8)
    x[:, 8:20, 10:18] = np.random.RandomState(0).randint(100, 256, (n, 12, 8, 1))
    return x


def test_a_warp_of_0_changes_nothing() -> None:
    assert np.array_equal(warped(digits(), STILL, 1), digits())


def test_a_view_depends_on_its_seed_only() -> None:
    first, again, other = (warped(digits(), Warp(), seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("change", ["shift", "turn", "zoom", "shear", "bend"])
def test_each_kind_of_change_keeps_most_of_the_ink(change: str) -> None:
    x = digits()
    view = warped(x, msgspec.structs.replace(STILL, **{change: getattr(Warp(), change)}), 3)
    assert view.shape == x.shape
    assert (view != x).any(axis=(1, 2, 3)).all()
    assert np.allclose(view.sum(axis=(1, 2, 3)) / x.sum(axis=(1, 2, 3)), 1, atol=0.35)


def test_interpolation_matches_scipy() -> None:
    x = digits(5)[..., 0]
    random = np.random.RandomState(1)
    down, right = (random.uniform(-1, 28, x.shape).astype(np.float32) for _ in range(2))
    found = batches._interpolated(x, down, right)
    for picture, i, j, value in zip(x.astype(float), down, right, found, strict=True):
        expected = map_coordinates(picture, [i, j], order=1, mode="constant")
        np.testing.assert_allclose(value, expected, atol=0.05)


def test_a_shift_moves_the_centre() -> None:
    x = digits(30)
    view = warped(x, msgspec.structs.replace(STILL, shift=2.0), 5).astype(float)
    rows = np.arange(28)[None, :, None, None]
    moved = (view * rows).sum((1, 2, 3)) / view.sum((1, 2, 3))
    still = (x * rows).sum((1, 2, 3)) / x.sum((1, 2, 3))
    assert 0.5 < np.abs(moved - still).max() <= 2.05


def test_fixed_views_start_with_the_picture_and_differ() -> None:
    x = digits(6)
    views = batches.fixed_views(x, Warp(views=4))
    assert views.shape == (6, 4, 1, 28, 28, 1)
    assert np.array_equal(views[:, 0, 0], x)
    for number, several in enumerate(views):
        assert len({view.tobytes() for view in several}) == 4, number
    assert np.array_equal(views[:, :2], batches.fixed_views(x, Warp(views=2)))


@with_tensorflow
def test_batches_move_whole_pictures() -> None:
    data = bars(50)
    two = replace(data, x=np.concatenate([data.x, 255 - data.x], axis=3))  # two channels
    epoch = batches.batches(two, batch=16, shift=2, seed=1)
    assert len(epoch) == 3
    padded = np.pad(two.x, ((0, 0), (2, 2), (2, 2), (0, 0))).astype(np.float32) / 255
    seen, moves = [], set()
    for images, labels in (epoch[i] for i in range(3)):
        assert (images.shape, images.dtype) == ((16, 28, 28, 2), np.float32)
        for image, label in zip(images, labels, strict=True):
            origin = [
                (i, down, right)
                for i in range(50)
                for down in range(5)
                for right in range(5)
                if np.array_equal(padded[i, down : down + 28, right : right + 28], image)
            ]
            assert origin
            assert any(data.y[i] == label for i, _, _ in origin)
            seen.append(origin[0][0])
            moves |= {(down, right) for _, down, right in origin}
    assert len(moves) > 10
    assert len(set(seen)) > 40


@with_tensorflow
def test_answers_and_weights_stay_with_their_samples() -> None:
    network, data = build(SMALL), bars(40)
    taught = distillation.ask(network, data.x, 1)
    assert taught.shape == (40, 3, 3, 2)
    own = np.arange(40, dtype=np.float32)
    epoch = batches.batches(data, batch=20, shift=1, seed=1, weight=own, answers=taught)
    for inputs, labels, weight in (epoch[i] for i in range(2)):
        live = network(inputs["sample"], training=False).numpy()
        np.testing.assert_allclose(inputs["answer"], live, atol=1e-5)
        assert len(set(map(bytes, inputs["answer"]))) > 15
        np.testing.assert_array_equal(data.y[weight.astype(int)], labels)


@with_tensorflow
def test_answers_stay_with_their_warped_views(tmp_path: Path) -> None:
    network, data, warp = build(SMALL), bars(40), Warp(views=5)
    taught = distillation.answers(network, data, cache=tmp_path, warp=warp)
    shown = distillation.all_views(data, 0, warp, cache=tmp_path)
    assert (taught.shape, shown.shape) == ((40, 5, 1, 2), (40, 5, 1, 28, 28, 1))
    assert len(list(tmp_path.glob("*.npy"))) == 2
    np.testing.assert_array_equal(shown, distillation.all_views(data, 0, warp, cache=None))
    np.testing.assert_array_equal(
        taught, distillation.answers(network, data, cache=None, warp=warp)
    )
    epoch = batches.batches(data, batch=20, shift=0, seed=1, answers=taught, views=shown)
    rows = {view.tobytes(): (i, j) for i in range(40) for j, view in enumerate(shown[i, :, 0])}
    chosen = set()
    for inputs, labels in (epoch[i] for i in range(2)):
        live = network(inputs["sample"], training=False).numpy()
        np.testing.assert_allclose(inputs["answer"], live, atol=1e-5)
        pixels = np.rint(inputs["sample"] * 255).astype(np.uint8)
        found = [rows[picture.tobytes()] for picture in pixels]
        np.testing.assert_array_equal(labels, [data.y[i] for i, _ in found])
        chosen |= {j for _, j in found}
    assert chosen == set(range(5))


@with_tensorflow
def test_fresh_views_are_new_in_each_epoch_and_repeatable() -> None:
    data, warp = bars(32), Warp(views=0)
    first, again = (batches.batches(data, batch=32, shift=0, seed=1, fresh=warp) for _ in range(2))
    seen = []
    for _ in range(2):
        images, labels = first[0]
        same, same_labels = again[0]
        np.testing.assert_array_equal(images, same)
        np.testing.assert_array_equal(labels, same_labels)
        seen.append({image.tobytes() for image in images})
        first.on_epoch_end()
        again.on_epoch_end()
    assert not seen[0] & seen[1]


def test_class_weights_match_scikit_learn() -> None:
    from sklearn.utils.class_weight import compute_sample_weight

    y = np.array([0, 0, 0, 1, 2, 2])
    balanced = batches.sample_weights(y, "balanced")
    assert balanced is not None
    np.testing.assert_allclose(balanced, compute_sample_weight("balanced", y), rtol=1e-6)
    own = np.array([1, 2, 3, 4, 5, 6], np.float32)
    both = batches.sample_weights(y, (1.0, 0.5, 2.0), own)
    np.testing.assert_array_equal(both, [1, 2, 3, 2, 10, 12])
    assert batches.sample_weights(y, "") is None


def test_two_threads_compute_a_cached_array_once(tmp_path: Path) -> None:
    begun, made = threading.Event(), []

    def make() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        begun.set()
        made.append(1)
        other.join(0.2)  # it waits for this one, so it cannot end
        assert other.is_alive()
        return np.arange(3, dtype=np.float32)

    def want() -> None:
        begun.wait()
        found.append(cached(tmp_path / "a.npy", (3,), "float32", make))

    found: list[object] = []
    other = threading.Thread(target=want)
    other.start()
    found.append(cached(tmp_path / "a.npy", (3,), "float32", make))
    other.join()
    assert made == [1]
    assert [np.asarray(each).tolist() for each in found] == 2 * [[0, 1, 2]]


@with_tensorflow
def test_without_shift_an_epoch_is_a_permutation() -> None:
    data = bars(48)
    epoch = batches.batches(data, batch=16, shift=0, seed=1)
    first = np.concatenate([epoch[i][0] for i in range(3)])
    epoch.on_epoch_end()
    second = np.concatenate([epoch[i][0] for i in range(3)])
    expected = sorted(row.tobytes() for row in batches.as_input(data.x))
    assert sorted(row.tobytes() for row in first) == expected
    assert sorted(row.tobytes() for row in second) == expected
    assert not np.array_equal(first, second)


def test_pixels_are_scaled_as_in_the_firmware() -> None:
    levels = np.arange(256, dtype=np.uint8)
    expected = np.array([np.float32(v) / np.float32(255) for v in range(256)])
    np.testing.assert_array_equal(batches.as_input(levels), expected)
    real = np.array([-1.5, 300.0], np.float32)
    assert batches.as_input(real) is real
