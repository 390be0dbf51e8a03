# SPDX-License-Identifier: Apache-2.0
"""A user's own arrays."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hil.core.errors import DataError
from hil.datasets import first, load_npz, subset


def saved(tmp_path: Path, **arrays: Any) -> Path:
    path = tmp_path / "gestures.npz"
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.float32])
def test_arrays_are_read_as_saved(tmp_path: Path, dtype: type[np.generic]) -> None:
    x = np.arange(60).reshape(5, 3, 4).astype(dtype)
    path = saved(tmp_path, x=x, y=np.array([2, 0, 1, 2, 0], np.uint8))
    dataset = load_npz(path)
    np.testing.assert_array_equal(dataset.x, x)
    assert dataset.x.dtype == dtype
    assert dataset.y.tolist() == [2, 0, 1, 2, 0]
    assert dataset.y.dtype == np.int64
    assert (dataset.name, dataset.split, dataset.ids[4]) == ("gestures", "user", "gestures-00004")
    assert dataset.fingerprint == hashlib.sha256(path.read_bytes()).hexdigest()


GOOD_X = np.zeros((4, 3), np.float32)
GOOD_Y = np.arange(4)


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (GOOD_X.astype(np.float64), GOOD_Y, "float64"),
        (GOOD_X.astype(complex), GOOD_Y, "complex128"),
        (GOOD_X, GOOD_Y[:3], "4 samples in x and 3 labels"),
        (GOOD_X, GOOD_Y.astype(float), "float64 of shape"),
        (GOOD_X, GOOD_Y[:, None], "shape"),
        (GOOD_X[:, 0], GOOD_Y, "shape"),
        (GOOD_X[:0], GOOD_Y[:0], "shape"),
        (np.full((4, 3), np.nan, np.float32), GOOD_Y, "NaN"),
        (np.full((4, 3), np.inf, np.float32), GOOD_Y, "infinity"),
        (GOOD_X, GOOD_Y - 1, "from -1 to 2"),
        (np.array([[object()]] * 4), GOOD_Y, "Python objects"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, x: Any, y: Any, says: str) -> None:
    path = saved(tmp_path, x=x, y=y)
    with pytest.raises(DataError, match=says) as caught:
        load_npz(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_samples_alone_have_no_labels(tmp_path: Path) -> None:
    dataset = load_npz(saved(tmp_path, x=GOOD_X))
    assert (dataset.y.tolist(), len(dataset.ids), dataset.labelled) == ([-1] * 4, 4, False)
    assert load_npz(saved(tmp_path, x=GOOD_X, y=GOOD_Y)).labelled
    with pytest.raises(DataError, match="NaN"):
        load_npz(saved(tmp_path, x=GOOD_X * np.nan))


def test_missing_arrays_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no array y, but labels\.npy; name the labels y"):
        load_npz(saved(tmp_path, x=GOOD_X, labels=GOOD_Y))
    with pytest.raises(DataError, match="no array x"):
        load_npz(saved(tmp_path, y=GOOD_Y))
    with pytest.raises(DataError, match="x in"):
        load_npz(saved(tmp_path, x=GOOD_Y, a=GOOD_X, y=GOOD_Y))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, x=GOOD_X, y=GOOD_Y)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(DataError, match=r"not an \.npz"):
        load_npz(path)
    path.write_bytes(whole[:50] + bytes(20) + whole[70:])
    with pytest.raises(DataError, match="damaged"):
        load_npz(path)
    np.save(path.with_suffix(".npy"), GOOD_X)
    with pytest.raises(DataError, match=r"not an \.npz"):
        load_npz(path.with_suffix(".npy"))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", b"not an array")
        archive.writestr("y", b"neither")
    with pytest.raises(DataError, match="not arrays"):
        load_npz(path)


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere.npz cannot be read"):
        load_npz(tmp_path / "nowhere.npz")
    with pytest.raises(DataError, match="cannot be read"):
        load_npz(tmp_path)


def test_an_array_for_each_input(tmp_path: Path) -> None:
    a, b = np.arange(8, dtype=np.float32).reshape(4, 2), np.arange(4, dtype=np.int32)[:, None]
    dataset = load_npz(saved(tmp_path, **{"serving_default_b:0": b, "a": a, "y": GOOD_Y}))
    assert list(dataset.named) == ["serving_default_b:0", "a"]
    np.testing.assert_array_equal(dataset.named["a"], a)
    assert dataset.x is dataset.named["serving_default_b:0"]
    few = subset(dataset, 2)
    rows = [dataset.ids.index(one) for one in few.ids]
    np.testing.assert_array_equal(few.named["a"], a[rows])
    np.testing.assert_array_equal(few.x, b[rows])
    assert few.y.tolist() == rows
    two = first(dataset, 2)
    assert (two.ids, two.named["a"].tolist()) == (dataset.ids[:2], a[:2].tolist())
    assert len(first(dataset, 9)) == 4


def test_arrays_for_inputs_have_one_length(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="different lengths: 4 in a, 3 in b samples"):
        load_npz(saved(tmp_path, a=GOOD_X, b=GOOD_X[:3]))
    with pytest.raises(DataError, match="b in .* is float64"):
        load_npz(saved(tmp_path, a=GOOD_X, b=GOOD_X.astype(np.float64)))


def test_beside_x_and_y_other_arrays_are_ignored(tmp_path: Path) -> None:
    names = np.array(["yes", "no"])
    dataset = load_npz(saved(tmp_path, x=GOOD_X, y=GOOD_Y, names=names, few=GOOD_X[:2]))
    assert (dataset.named, dataset.labelled) == ({}, True)
    np.testing.assert_array_equal(dataset.x, GOOD_X)


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "bool"])
def test_other_types_are_for_inputs_of_that_type(tmp_path: Path, dtype: str) -> None:
    x = np.array([[0, 1], [1, 1]]).astype(dtype)
    found = load_npz(saved(tmp_path, x=x)).x
    assert (found.dtype, found.tolist()) == (np.dtype(dtype), x.tolist())
