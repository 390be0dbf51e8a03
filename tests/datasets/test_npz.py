# SPDX-License-Identifier: Apache-2.0
"""A user's own arrays."""

from __future__ import annotations

import hashlib
import os
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from hil.core.errors import DataError
from hil.core.records import Dataset
from hil.datasets import first, load_npz, subset
from hil.datasets.npz import read_npy


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


def npy(shape: tuple[int, ...], descr: str = "<f4") -> bytes:
    """An .npy file that says it has ``shape``, with 24 bytes of values."""
    head = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + bytes(24)


GOOD_X = np.zeros((4, 3), np.float32)
GOOD_Y = np.arange(4)


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (GOOD_X.astype(np.uint16), GOOD_Y, "uint16"),
        (GOOD_X.astype(complex), GOOD_Y, "complex128"),
        (np.full((4, 3), 1e39), GOOD_Y, "infinity"),
        (GOOD_X, GOOD_Y[:3], "4 samples, but 3 labels"),
        (GOOD_X, GOOD_Y.astype(complex), "complex128 of shape"),
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
    with pytest.raises(DataError, match="b in .* is uint16"):
        load_npz(saved(tmp_path, a=GOOD_X, b=GOOD_X.astype(np.uint16)))


def test_beside_x_and_y_other_arrays_are_ignored(tmp_path: Path) -> None:
    names = np.array(["yes", "no"])
    dataset = load_npz(saved(tmp_path, x=GOOD_X, y=GOOD_Y, names=names, few=GOOD_X[:2]))
    assert (dataset.named, dataset.labelled) == ({}, True)
    np.testing.assert_array_equal(dataset.x, GOOD_X)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.dtype(">f4")])
def test_other_floats_become_float32(tmp_path: Path, dtype: np.dtype[np.generic]) -> None:
    x = (np.arange(12).reshape(4, 3) / 8).astype(dtype)
    found = load_npz(saved(tmp_path, x=x)).x
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, x)


BIG = np.arange(5 << 20, dtype=np.float32).reshape(-1, 5, 8)  # 20 MiB


@pytest.mark.parametrize("order", ["C", "F"])
def test_large_arrays_are_mapped(tmp_path: Path, order: Literal["C", "F"]) -> None:
    """Values are in the file, not in memory: a change of the file is seen in the array."""
    x, y = np.asarray(BIG, order=order), np.arange(len(BIG))
    np.savez(tmp_path / "big.npz", y=y, x=x)
    np.save(tmp_path / "big.npy", x)
    np.savez_compressed(tmp_path / "packed.npz", x=x)
    for name in ("big.npz", "big.npy"):
        found = load(tmp_path / name)
        np.testing.assert_array_equal(found.x, BIG)
        few = subset(found, 3)
        rows = [found.ids.index(one) for one in few.ids]
        raw = bytearray((tmp_path / name).read_bytes())
        raw[raw.rindex(BIG[-1, -1, -1:].tobytes())] ^= 1
        with (tmp_path / name).open("r+b") as file:
            file.write(raw)
        assert found.x[-1, -1, -1] != BIG[-1, -1, -1]
        np.testing.assert_array_equal(few.x, BIG[rows])
        assert not found.x.flags.writeable
    whole = load(tmp_path / "packed.npz")
    np.testing.assert_array_equal(whole.x, BIG)


def test_a_mapped_array_is_checked_against_its_check_sum(tmp_path: Path) -> None:
    np.savez(tmp_path / "big.npz", x=BIG)
    raw = bytearray((tmp_path / "big.npz").read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "big.npz").write_bytes(raw)
    with pytest.raises(DataError, match="damaged"):
        load(tmp_path / "big.npz")


def load(path: Path) -> Dataset:
    return read_npy(path) if path.suffix == ".npy" else load_npz(path)


def test_an_npy_holds_samples_alone(tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", GOOD_X)
    found = read_npy(tmp_path / "mine.npy")
    np.testing.assert_array_equal(found.x, GOOD_X)
    assert (found.name, found.ids[3], found.labelled) == ("mine", "mine-00003", False)
    assert found.fingerprint == hashlib.sha256((tmp_path / "mine.npy").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", r"not an \.npy file"),
        (b"PK\3\4", r"not an \.npy file"),
        (b"\x93NUMPY\1\0", "damaged"),
        (b"\x93NUMPY\1\0\x10\0" + b" " * 15 + b"\n", "damaged"),
        (npy((1 << 40, 3)), "is <f4 of shape|is float32 of shape"),
        (npy((2, 3)) + b"more", "length"),
        (npy((2, 3))[:-1], "length"),
        (npy((2, 3), "|O"), "Python objects"),
        (npy((6,)), "shape"),
    ],
)
def test_other_npy_files_are_refused(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(DataError, match=says):
        read_npy(tmp_path / "x.npy")


def test_a_header_that_python_2_wrote(tmp_path: Path) -> None:
    content = npy((2, 3)).replace(b"(2, 3), }", b"(2L, 3L)}")
    (tmp_path / "x.npy").write_bytes(content)
    with warnings.catch_warnings(action="error"):
        assert read_npy(tmp_path / "x.npy").x.shape == (2, 3)


def test_names_that_are_not_utf8_are_shown(tmp_path: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9.npz"))
    np.savez(path, x=GOOD_X)
    found = load_npz(path)
    assert found.name == "caf?"
    assert found.ids[0].encode()


@pytest.mark.parametrize("dtype", ["int16", "int32", "int64", "bool"])
def test_other_types_are_for_inputs_of_that_type(tmp_path: Path, dtype: str) -> None:
    x = np.array([[0, 1], [1, 1]]).astype(dtype)
    found = load_npz(saved(tmp_path, x=x)).x
    assert (found.dtype, found.tolist()) == (np.dtype(dtype), x.tolist())
