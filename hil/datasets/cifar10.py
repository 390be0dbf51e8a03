# SPDX-License-Identifier: Apache-2.0
"""CIFAR-10 from its binary archive: found or downloaded once, and always verified.

It is the binary version (https://www.cs.toronto.edu/~kriz/cifar.html), which needs no pickle: each
member of the archive is 10,000 records of a label and 3 planes (red, green, blue) of 32x32.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs

from hil.core.errors import DataError
from hil.core.records import Dataset
from hil.datasets import download
from hil.datasets.download import Progress

MIRRORS = ("https://www.cs.toronto.edu/~kriz/", "https://cave.cs.toronto.edu/kriz/")
ARCHIVE = "cifar-10-binary.tar.gz"
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
FOLDER = "cifar-10-batches-bin"
MEMBERS = {
    "train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    "test": ("test_batch.bin",),
}
RECORDS = 10_000  # per member
SIDE, CHANNELS, CLASSES = 32, 3, 10
_RECORD = 1 + CHANNELS * SIDE * SIDE
_REMEDY = f"set HIL_DATA_DIR to a folder with {ARCHIVE}"
_DOWNLOAD_S = 1800.0  # 170 MB over a slow connection


def cache_dir() -> Path:
    """The folder of the downloaded archive."""
    return platformdirs.user_cache_path("tinyml-hil") / "cifar10"


def _locate() -> Path | None:
    own = os.environ.get("HIL_DATA_DIR")
    mine = (Path(own).expanduser(), Path(own).expanduser() / "cifar10") if own else ()
    return next((f / ARCHIVE for f in (*mine, cache_dir()) if (f / ARCHIVE).is_file()), None)


def found() -> bool:
    """Whether the archive exists on this machine; it is not verified."""
    return _locate() is not None


def fetch(*, progress: Progress | None = None) -> None:
    """Download the archive (170 MB) into the user's cache unless it is on this machine.

    Raises:
        DataError: no mirror answers, or none sends CIFAR-10.
    """
    if _locate() is None:
        download.fetch(
            ARCHIVE,
            MIRRORS,
            cache_dir(),
            verify=_verify,
            progress=progress,
            hint=f"{_REMEDY}, or use --dataset cifar10-made",
            total_s=_DOWNLOAD_S,
        )


def load(split: str, *, progress: Progress | None = None) -> Dataset:
    """A split of CIFAR-10, downloaded if it is not on this machine.

    Returns:
        ``x`` (50,000 or 10,000, 32, 32, 3) uint8, ``y`` (n,) int64 of 0..9, ids
        ``cifar10-test-00042``; the fingerprint is the SHA-256 of the pixels followed by the labels
        (little-endian int64).

    Raises:
        DataError: the archive is missing, truncated or not CIFAR-10's.
    """
    fetch(progress=progress)
    path = _locate()
    if path is None:  # since the search
        raise DataError(f"{ARCHIVE} was removed", _REMEDY)
    _verify(path)
    parts = [parse(content, name) for name, content in _members(path, MEMBERS[split])]
    x = np.concatenate([images for images, _ in parts])
    y = np.concatenate([labels for _, labels in parts])
    return dataset("cifar10", split, x, y)


def dataset(name: str, split: str, x: npt.NDArray[np.uint8], y: npt.NDArray[np.int64]) -> Dataset:
    """Images and labels, made read-only, with ids in order and a fingerprint as in `load`."""
    x.setflags(write=False)
    y.setflags(write=False)
    fingerprint = hashlib.sha256(x.tobytes() + y.astype("<i8").tobytes()).hexdigest()
    ids = tuple(f"{name}-{split}-{i:05d}" for i in range(len(y)))
    return Dataset(name, split, ids, x, y, fingerprint)


def parse(content: bytes, where: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Records of one member -> (n, 32, 32, 3) uint8 and (n,) labels.

    Raises:
        DataError: no records, a partial one, or a label above 9.
    """
    if not content or len(content) % _RECORD:
        raise DataError(f"{where} has {len(content)} bytes, not a multiple of {_RECORD}", _REMEDY)
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= CLASSES:
        raise DataError(f"{where} has a label {labels.max()}, above {CLASSES - 1}", _REMEDY)
    planes = records[:, 1:].reshape(-1, CHANNELS, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels


def _verify(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})", _REMEDY) from error
    if sha256 != SHA256:
        raise DataError(
            f"{path} is not CIFAR-10's {ARCHIVE} (SHA-256 {sha256[:12]}…, not {SHA256[:12]}…)",
            f"remove that file to download it again, or {_REMEDY}",
        )


def _members(path: Path, names: tuple[str, ...]) -> list[tuple[str, bytes]]:
    """(name, content) of members, read into memory: nothing is extracted to disk."""
    limit = RECORDS * _RECORD
    contents = {}
    try:
        with tarfile.open(path, "r|gz") as archive:  # a stream: one pass without seeking
            for member in archive:
                name = member.name.removeprefix("./").removeprefix(f"{FOLDER}/")
                stream = archive.extractfile(member) if name in names else None
                if stream is not None:
                    contents[name] = stream.read(limit + 1)
    # TypeError and ValueError: headers that tarfile does not check
    except (OSError, tarfile.TarError, EOFError, zlib.error, TypeError, ValueError) as error:
        raise DataError(f"{path} is a damaged archive ({error})", _REMEDY) from error
    for name in names:
        size = len(contents.get(name, b""))
        if size != limit:
            raise DataError(f"{name} in {path} has {size} bytes, expected {limit}", _REMEDY)
    return [(name, contents[name]) for name in names]
