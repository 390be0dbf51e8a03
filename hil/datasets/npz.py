# SPDX-License-Identifier: Apache-2.0
"""A user's own data: an ``.npz`` file with arrays ``x`` and, if it has labels, ``y``; checked."""

from __future__ import annotations

import hashlib
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hil.core.errors import DataError
from hil.core.records import Dataset

_TYPES = (np.uint8, np.int8, np.float32)
_LARGEST = 4 << 30  # bytes of an array
_RANK = 8  # most dimensions of an array
_DEFLATE = 1100  # bytes per compressed byte, a little over the format's limit of 1032
_DAMAGED = (
    *(ValueError, TypeError, OverflowError, EOFError, RuntimeError, SyntaxError, RecursionError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError, struct.error),
)
_HINT = 'save it with numpy.savez(path, x=..., y=...), x as "uint8", "int8" or "float32"'


def load_npz(path: Path | str) -> Dataset:
    """Load samples and labels.

    Args:
        path: an ``.npz`` with ``x`` (n, ...) uint8, int8 or float32, and ``y`` (n,) integers;
            without ``y``, all labels are -1.

    Returns:
        The data set, named after the file, split ``user``, ids ``<name>-00042``; the
        fingerprint is the SHA-256 of the file.

    Raises:
        DataError: the file or its arrays are not as described.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        if not zipfile.is_zipfile(path):
            raise DataError(f"{path} is not an .npz file", _HINT)
        with zipfile.ZipFile(path) as archive:
            members = set(archive.namelist())
            missing = [key for key in ("x", "y") if f"{key}.npy" not in members]
            if any(key in members for key in missing):
                raise DataError(f"{path} holds files that are not arrays", _HINT)
            if "x" in missing:
                raise DataError(f"{path} has no array x", _HINT)
            if others := missing and sorted(members - {"x.npy"}):
                raise DataError(
                    f"{path} has no array y, but {', '.join(others)[:100]}",
                    "name the labels y, or save x alone: samples without labels",
                )
            x = _member(path, archive, "x.npy")
            y = None if "y" in missing else _member(path, archive, "y.npy")
    except OSError as error:
        what = f"{path} cannot be read ({error.strerror or error})"
        raise DataError(what, "check the path") from error
    except MemoryError as error:
        raise DataError(f"{path} does not fit in memory", "save fewer samples") from error
    except _DAMAGED as error:
        raise DataError(f"{path} is damaged or holds Python objects ({error})", _HINT) from error
    labels = _check(path, x, y)
    x.setflags(write=False)
    labels.setflags(write=False)
    name = path.stem
    ids = tuple(f"{name}-{i:05d}" for i in range(len(labels)))
    return Dataset(name, "user", ids, x, labels, sha256)


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> npt.NDArray[np.generic]:
    """One array. Its header is checked against the file before anything is allocated."""
    info = archive.getinfo(name)
    stored = info.compress_type == zipfile.ZIP_STORED
    if not stored and info.compress_type != zipfile.ZIP_DEFLATED:
        raise DataError(f"{name} in {path} uses a compression that NumPy does not write", _HINT)
    most = info.compress_size if stored else _DEFLATE * info.compress_size + _DEFLATE
    if info.file_size > min(most, path.stat().st_size * _DEFLATE):
        raise DataError(f"{name} in {path} is shorter than the archive says", _HINT)
    if info.file_size > _LARGEST:
        what = f"{name} in {path} has {info.file_size:,} bytes"
        raise DataError(what, f"{_LARGEST:,} is the limit: save fewer samples")
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(version)
        read = read or np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        # `_check` narrows types and ranks further
        sizes = len(shape) <= _RANK and all(0 <= n <= _LARGEST for n in shape)
        if dtype.hasobject:
            raise DataError(f"{name} in {path} holds Python objects", _HINT)
        if dtype.kind not in "iuf" or not sizes:
            raise DataError(f"{name} in {path} is {dtype} of shape {shape}", _HINT)
        nbytes = math.prod(shape) * dtype.itemsize
        if stream.tell() + nbytes != info.file_size:
            raise DataError(f"{name} in {path} does not have the length in its header", _HINT)
    with archive.open(info) as stream:
        found: npt.NDArray[np.generic] = np.lib.format.read_array(stream, allow_pickle=False)
    return found


def _check(
    path: Path, x: npt.NDArray[np.generic], y: npt.NDArray[np.generic] | None
) -> npt.NDArray[np.int64]:
    if x.dtype not in _TYPES:
        raise DataError(f"x in {path} is {x.dtype}", 'convert it: x.astype("float32")')
    if x.ndim < 2 or x.size == 0:
        raise DataError(f"x in {path} has shape {x.shape}", "it must be (samples, ...), not empty")
    if x.dtype == np.float32 and not np.isfinite(x).all():
        raise DataError(f"x in {path} contains NaN or infinity", "remove those samples")
    if y is None:
        return np.full(len(x), -1, np.int64)
    if not np.issubdtype(y.dtype, np.integer) or y.ndim != 1:
        what = f"y in {path} is {y.dtype} of shape {y.shape}"
        raise DataError(what, "it must be one integer label per sample")
    if len(x) != len(y):
        raise DataError(f"{path} has {len(x)} samples in x and {len(y)} labels in y", _HINT)
    if y.min() < 0 or y.max() > np.iinfo(np.int32).max:
        what = f"labels in {path} range from {y.min()} to {y.max()}"
        raise DataError(what, "they must be class numbers from 0")
    return y.astype(np.int64)
