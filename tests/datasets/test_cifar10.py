# SPDX-License-Identifier: Apache-2.0
"""CIFAR-10 from a small archive in its format: found, downloaded, verified, refused."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from hil import datasets
from hil.core.errors import DataError
from hil.datasets import cifar10

RECORDS = 7


def member(seed: int) -> bytes:
    """Records as CIFAR-10's: a label, then red, green and blue planes."""
    random = np.random.RandomState(seed)
    records = random.randint(0, 256, (RECORDS, 3073)).astype(np.uint8)
    records[:, 0] %= 10
    return records.tobytes()


CONTENTS = {
    **{f"data_batch_{i}.bin": member(i) for i in range(1, 6)},
    "test_batch.bin": member(9),
    "batches.meta.txt": b"airplane\n",
}


def archive(contents: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in contents.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


GOOD = archive(CONTENTS)


def expect(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(cifar10, "SHA256", hashlib.sha256(content).hexdigest())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no mirrors; the expected archive has 42 samples."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(cifar10, "cache_dir", lambda: folder)
    monkeypatch.setattr(cifar10, "MIRRORS", ())
    monkeypatch.setattr(cifar10, "RECORDS", RECORDS)
    monkeypatch.delenv("HIL_DATA_DIR", raising=False)
    expect(monkeypatch, GOOD)
    folder.mkdir()
    return folder


@pytest.fixture
def archives(mirror: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the only mirror."""
    folder, url = mirror
    monkeypatch.setattr(cifar10, "MIRRORS", (url,))
    return folder


@pytest.mark.usefixtures("here")
def test_pixels_and_labels_are_where_the_format_has_them(here: Path) -> None:
    (here / cifar10.ARCHIVE).write_bytes(GOOD)
    test, train = datasets.load("cifar10", "test"), datasets.load("cifar10", "train")
    assert (test.x.shape, train.x.shape) == ((7, 32, 32, 3), (35, 32, 32, 3))
    raw = CONTENTS["test_batch.bin"]
    for i, row, column, channel in ((0, 0, 0, 0), (3, 5, 17, 1), (6, 31, 31, 2)):
        at = i * 3073 + 1 + channel * 1024 + row * 32 + column
        assert test.x[i, row, column, channel] == raw[at]
    assert test.y.tolist() == list(raw[::3073])
    assert train.y[7:14].tolist() == list(CONTENTS["data_batch_2.bin"][::3073])
    assert test.ids[:2] == ("cifar10-test-00000", "cifar10-test-00001")


def test_the_data_folder_comes_before_the_cache(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / cifar10.ARCHIVE).write_bytes(b"stale")
    (tmp_path / "own" / "cifar10").mkdir(parents=True)
    (tmp_path / "own" / "cifar10" / cifar10.ARCHIVE).write_bytes(GOOD)
    monkeypatch.setenv("HIL_DATA_DIR", str(tmp_path / "own"))
    assert len(datasets.load("cifar10", "test")) == 7


def test_it_is_downloaded_once(here: Path, archives: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (archives / cifar10.ARCHIVE).write_bytes(GOOD)
    assert datasets.choose("cifar10") == ("cifar10", "")
    monkeypatch.setattr(cifar10, "MIRRORS", ())
    assert len(datasets.load("cifar10", "test")) == 7
    assert [file.name for file in here.iterdir()] == [cifar10.ARCHIVE]


def test_a_wrong_download_leaves_no_file(here: Path, archives: Path) -> None:
    (archives / cifar10.ARCHIVE).write_bytes(b"sign in to this network first")
    with pytest.raises(DataError, match="could not be downloaded .*not CIFAR-10's"):
        datasets.load("cifar10", "test")
    assert list(here.iterdir()) == []


@pytest.mark.usefixtures("here")
def test_generated_images_are_used_without_it_and_the_note_says_so() -> None:
    name, note = datasets.choose("cifar10")
    assert name == "cifar10-made"
    assert note.startswith("This is not CIFAR-10")
    assert datasets.load(name, "test").name == "cifar10-made"
    with pytest.raises(DataError, match="HIL_DATA_DIR.* or use --dataset cifar10-made"):
        datasets.load("cifar10", "test")


def test_a_wrong_archive_is_refused_and_not_replaced(here: Path) -> None:
    (here / cifar10.ARCHIVE).write_bytes(GOOD[:-9])
    assert datasets.choose("cifar10") == ("cifar10", "")
    with pytest.raises(DataError, match=r"is not CIFAR-10's .* remove that file"):
        datasets.load("cifar10", "test")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no archive at all", "is a damaged archive"),
        (GOOD[: len(GOOD) // 2], "is a damaged archive"),
        (archive({**CONTENTS, "test_batch.bin": member(9)[:-1]}), "21510 bytes, expected 21511"),
        (archive({**CONTENTS, "test_batch.bin": member(9) * 2}), "21512 bytes, expected 21511"),
        (archive({"readme.html": b"hello"}), "test_batch.bin in .* has 0 bytes"),
        (archive({**CONTENTS, "test_batch.bin": b"\x0a" + member(9)[1:]}), "has a label 10"),
    ],
)
def test_an_archive_with_the_right_hash_is_still_checked(
    here: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, says: str
) -> None:
    (here / cifar10.ARCHIVE).write_bytes(content)
    expect(monkeypatch, content)
    with pytest.raises(DataError, match=says):
        datasets.load("cifar10", "test")
