# SPDX-License-Identifier: Apache-2.0
"""MNIST's reader: the files that it accepts and refuses."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from hil import datasets
from hil.core.errors import DataError
from hil.datasets import mnist
from tests.support import idx_files


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("below", ["", "mnist"])
def test_reads_gzip_and_raw_from_the_data_folder(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool, below: str
) -> None:
    idx_files.write(tmp_path / "data" / below, packed=packed)
    monkeypatch.setenv("HIL_DATA_DIR", str(tmp_path / "data"))

    dataset = datasets.load("mnist", "test")

    images, labels = idx_files.contents("test").values()
    assert dataset.x.tobytes() == images[16:]
    assert dataset.y.tolist() == list(labels[8:])
    assert dataset.x.shape == (30, 28, 28, 1)
    assert dataset.x.dtype == np.uint8
    assert dataset.y.dtype == np.int64
    assert dataset.ids[17] == "mnist-test-00017"
    assert dataset.fingerprint == hashlib.sha256(images + labels).hexdigest()
    assert not cache.exists()


def test_dotted_names_are_found(cache: Path) -> None:
    for path in idx_files.write(cache, packed=False).values():
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert len(datasets.load("mnist", "test")) == 30


def test_the_data_folder_comes_before_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    idx_files.write(tmp_path / "data")
    idx_files.write(cache)["images"].write_bytes(b"never read")
    monkeypatch.setenv("HIL_DATA_DIR", str(tmp_path / "data"))
    assert len(datasets.load("mnist", "test")) == 30


def damaged(name: str) -> bytes:
    content = idx_files.idx_bytes(idx_files.IMAGES, 1)
    packed = gzip.compress(content)
    return {
        "empty": b"",
        "text": b"<html>404 Not Found</html>" * 10,
        "cut raw": content[:-5],
        "cut header": content[:9],
        "cut gzip": packed[: len(packed) // 2],
        "broken gzip": packed[:60] + bytes(40) + packed[100:],
        "too long": content + b"\0",
        "gzip bomb": gzip.compress(bytes(1_000_000)),
        "other dims": idx_files.idx_bytes((28, 30, 28), 1),
        "other rank": idx_files.idx_bytes((30, 28), 1),
        "other type": content[:2] + b"\x0d" + content[3:],
        "other digits": idx_files.idx_bytes(idx_files.IMAGES, 3),  # Fashion-MNIST looks like this
    }[name]


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("empty", "truncated"),
        ("text", "not an IDX file"),
        ("cut raw", "truncated"),
        ("cut header", "truncated"),
        ("cut gzip", "damaged or truncated gzip"),
        ("broken gzip", "damaged or truncated gzip"),
        ("too long", "longer than"),
        ("gzip bomb", "longer than"),
        ("other dims", r"dimensions \(28, 30, 28\), expected \(30, 28, 28\)"),
        ("other rank", "2 dimensions, expected 3"),
        ("other type", "not an IDX file"),
        ("other digits", "is not MNIST's t10k-images-idx3-ubyte"),
    ],
)
def test_a_wrong_file_is_refused_by_name(cache: Path, case: str, says: str) -> None:
    path = idx_files.write(cache)["images"]
    path.write_bytes(damaged(case))
    with pytest.raises(DataError, match=says) as caught:
        datasets.load("mnist", "test")
    assert str(path) in caught.value.what
    assert "remove that file" in caught.value.hint
    assert "\n" not in str(caught.value)


def test_swapped_files_are_refused(cache: Path) -> None:
    paths = idx_files.write(cache)
    paths["labels"].write_bytes(paths["images"].read_bytes())
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz is longer"):
        datasets.load("mnist", "test")


def test_a_folder_with_the_name_of_a_file_is_ignored(cache: Path) -> None:
    idx_files.write(cache)["images"].unlink()
    (cache / "t10k-images-idx3-ubyte").mkdir()
    with pytest.raises(DataError, match="no mirror"):
        datasets.load("mnist", "test")


def test_header_of_the_real_files() -> None:
    """The sizes published with MNIST: 47,040,016, 60,008, 7,840,016 and 10,008 bytes."""
    sizes = [file.nbytes for pair in mnist.FILES.values() for file in pair]
    assert sizes == [47_040_016, 60_008, 7_840_016, 10_008]


def test_real_mnist() -> None:
    if not mnist.found("test"):
        pytest.skip("MNIST is not on this machine")
    dataset = datasets.load("mnist", "test")
    assert dataset.x.shape == (10_000, 28, 28, 1)
    assert dataset.y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    # class counts of the test set as its authors give them
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(dataset.y).tolist() == counts


def test_dimensions_are_big_endian(cache: Path) -> None:
    path = idx_files.write(cache)["labels"]
    path.write_bytes(bytes([0, 0, 8, 1]) + struct.pack("<I", 30) + bytes(30))
    with pytest.raises(DataError, match=str(30 << 24)):
        datasets.load("mnist", "test")
