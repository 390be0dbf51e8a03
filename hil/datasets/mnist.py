# SPDX-License-Identifier: Apache-2.0
"""MNIST from its four original IDX files: found or downloaded once, and always verified."""

from __future__ import annotations

import functools
import gzip
import hashlib
import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs

from hil.core.errors import DataError
from hil.core.records import Dataset
from hil.datasets import download
from hil.datasets.download import Progress

_UINT8 = 0x08  # type code in an IDX header
_GZIP = b"\x1f\x8b"

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


@dataclass(frozen=True, slots=True)
class IdxFile:
    """One of the four files. ``sha256`` is of the uncompressed bytes."""

    name: str
    shape: tuple[int, ...]
    sha256: str

    @property
    def nbytes(self) -> int:
        return 4 + 4 * len(self.shape) + int(np.prod(self.shape, dtype=np.int64))


FILES: dict[str, tuple[IdxFile, IdxFile]] = {
    "train": (
        IdxFile(
            "train-images-idx3-ubyte",
            (60000, 28, 28),
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        IdxFile(
            "train-labels-idx1-ubyte",
            (60000,),
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        ),
    ),
    "test": (
        IdxFile(
            "t10k-images-idx3-ubyte",
            (10000, 28, 28),
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        IdxFile(
            "t10k-labels-idx1-ubyte",
            (10000,),
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ),
}


def cache_dir() -> Path:
    """The folder of downloaded files."""
    return platformdirs.user_cache_path("tinyml-hil") / "mnist"


def folders() -> tuple[Path, ...]:
    """The folders to search, in order: ``HIL_DATA_DIR``, then the user's cache."""
    own = os.environ.get("HIL_DATA_DIR")
    mine = (Path(own).expanduser(), Path(own).expanduser() / "mnist") if own else ()
    return (*mine, cache_dir())


def _locate(file: IdxFile) -> Path | None:
    # some unpackers write train-images.idx3-ubyte
    names = (file.name, file.name.replace("-idx", ".idx"))
    for folder in folders():
        for name in names:
            for path in (folder / f"{name}.gz", folder / name):
                if path.is_file():
                    return path
    return None


def found(split: str) -> bool:
    """Whether both files of a split exist on this machine; they are not verified."""
    return all(_locate(file) is not None for file in FILES[split])


def fetch(split: str, *, progress: Progress | None = None) -> None:
    """Download the missing files of a split into the user's cache.

    Raises:
        DataError: no mirror answers, or none sends MNIST.
    """
    missing = [file for file in FILES[split] if _locate(file) is None]
    for file in missing:
        download.fetch(
            f"{file.name}.gz",
            MIRRORS,
            cache_dir(),
            verify=functools.partial(_content, file=file),
            progress=progress,
        )


def load(split: str, *, progress: Progress | None = None) -> Dataset:
    """A split of MNIST, downloaded if it is not on this machine.

    Returns:
        ``x`` (n, 28, 28, 1) uint8, ``y`` (n,) int64, ids ``mnist-test-00042``; the
        fingerprint is the SHA-256 of the images file followed by the labels file.

    Raises:
        DataError: a file is missing, truncated or not MNIST's.
    """
    fetch(split, progress=progress)
    images, labels = FILES[split]
    digest = hashlib.sha256()
    arrays: list[npt.NDArray[np.uint8]] = []
    for file in (images, labels):
        path = _locate(file)
        if path is None:  # since the search
            raise DataError(f"{file.name} was removed", _hint())
        content = _content(path, file)
        digest.update(content)
        arrays.append(parse(content, file.shape, str(path), _hint(path)))
    y = arrays[1].astype(np.int64)
    y.setflags(write=False)
    ids = tuple(f"mnist-{split}-{i:05d}" for i in range(len(y)))
    return Dataset("mnist", split, ids, arrays[0][..., None], y, digest.hexdigest())


def _content(path: Path, file: IdxFile) -> bytes:
    """The verified, uncompressed bytes of a file that should be ``file``."""
    hint = _hint(path)
    content = read_bytes(path, file.nbytes, hint)
    parse(content, file.shape, str(path), hint)  # its errors say more than a wrong hash
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != file.sha256:
        what = (
            f"{path} is not MNIST's {file.name} (SHA-256 {sha256[:12]}…, not {file.sha256[:12]}…)"
        )
        raise DataError(what, hint)
    return content


def read_bytes(path: Path, limit: int, hint: str) -> bytes:
    """The content of ``path``, decompressed if it is gzip; at most ``limit`` bytes.

    Raises:
        DataError: unreadable, damaged gzip, or longer than ``limit``.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=raw) as stream:
                    content = stream.read(limit + 1)
            else:
                content = raw.read(limit + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is a damaged or truncated gzip file ({error})", hint) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error})", hint) from error
    if len(content) > limit:
        raise DataError(f"{path} is longer than the expected {limit} bytes", hint)
    return content


def parse(
    content: bytes, shape: tuple[int, ...], where: str, hint: str = ""
) -> npt.NDArray[np.uint8]:
    """Bytes of an IDX file to an array of exactly ``shape`` (a read-only view).

    The format: http://yann.lecun.com/exdb/mnist (bytes 0 0, type, rank, then
    rank big-endian uint32 dimensions, then the elements).

    Raises:
        DataError: not IDX, another type or shape, or its length does not match its header.
    """
    header = 4 + 4 * len(shape)
    if len(content) < header:
        raise DataError(f"{where} is truncated: {len(content)} bytes without an IDX header", hint)
    zeros, kind, rank = struct.unpack_from(">HBB", content)
    if zeros != 0 or kind != _UINT8:
        raise DataError(f"{where} is not an IDX file of bytes (magic {content[:4].hex()})", hint)
    if rank != len(shape):
        raise DataError(f"{where} has {rank} dimensions, expected {len(shape)}", hint)
    dims = struct.unpack_from(f">{rank}I", content, 4)
    if dims != shape:
        raise DataError(f"{where} has dimensions {dims}, expected {shape}", hint)
    expected = header + math.prod(shape)
    if len(content) != expected:
        state = "truncated" if len(content) < expected else "too long"
        raise DataError(f"{where} is {state}: {len(content)} bytes, expected {expected}", hint)
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _hint(path: Path | None = None) -> str:
    remedy = "set HIL_DATA_DIR to a folder with MNIST's four original files"
    return f"remove that file to download it again, or {remedy}" if path else remedy
