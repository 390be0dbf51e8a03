# SPDX-License-Identifier: Apache-2.0
"""A user's own data: an ``.npz`` file with the samples in an array ``x``, or in one array per input
of the model, and, if it has labels, ``y``; checked."""

from __future__ import annotations

import hashlib
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.errors import DataError
from hil.core.records import Dataset, DType

Array: TypeAlias = npt.NDArray[np.generic]

_TYPES = tuple(one.numpy for one in DType)
_LARGEST = 4 << 30  # bytes of an array
_RANK = 8  # most dimensions of an array
_DEFLATE = 1100  # bytes per compressed byte, a little over the format's limit of 1032
_DAMAGED = (
    *(ValueError, TypeError, OverflowError, EOFError, RuntimeError, SyntaxError, RecursionError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError, struct.error),
)
_HINT = 'save it with numpy.savez(path, x=..., y=...), x as "uint8", "int8" or "float32"'
_LABELS = "y"


def load_npz(path: Path | str) -> Dataset:
    """Load samples and labels.

    Args:
        path: an ``.npz`` with ``x`` (n, ...) of a `DType`, or several such arrays named like the
            model's inputs, and ``y`` (n,) integers; without ``y``, all labels are -1. Beside
            ``x`` and ``y``, arrays that are not samples are ignored.

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
            members = archive.namelist()
            keys = [name.removesuffix(".npy") for name in members if name.endswith(".npy")]
            if any(key in members for key in ("x", _LABELS)) or len(keys) < len(members):
                raise DataError(f"{path} holds files that are not arrays", _HINT)
            y = _member(path, archive, _LABELS) if _LABELS in keys else None
            arrays = _arrays(path, archive, [key for key in keys if key != _LABELS], y)
    except OSError as error:
        what = f"{path} cannot be read ({error.strerror or error})"
        raise DataError(what, "check the path") from error
    except MemoryError as error:
        raise DataError(f"{path} does not fit in memory", "save fewer samples") from error
    except _DAMAGED as error:
        raise DataError(f"{path} is damaged or holds Python objects ({error})", _HINT) from error
    x = arrays.get("x", next(iter(arrays.values())))
    labels = _labels(path, len(x), y)
    for array in (*arrays.values(), labels):
        array.setflags(write=False)
    name = path.stem
    ids = tuple(f"{name}-{i:05d}" for i in range(len(labels)))
    named = {} if list(arrays) == ["x"] else arrays
    return Dataset(name, "user", ids, x, labels, sha256, named)


def _arrays(
    path: Path, archive: zipfile.ZipFile, keys: Sequence[str], y: Array | None
) -> dict[str, Array]:
    """The arrays of samples, all of one length, by name."""
    if not keys:
        raise DataError(f"{path} has no array x", _HINT)
    found: dict[str, Array] = {}
    for key in sorted(keys, key="x".__ne__):  # x first
        try:
            found[key] = _samples(path, key, _member(path, archive, key))
        except DataError:
            if key == "x" or "x" not in keys:
                raise
            if y is None:
                raise DataError(
                    f"{path} has no array y, but {key}.npy",
                    "name the labels y, or save x alone: samples without labels",
                ) from None
    if "x" in found and y is not None:  # what does not belong to the samples is ignored
        found = {key: one for key, one in found.items() if len(one) == len(found["x"])}
    lengths = {key: len(values) for key, values in found.items()}
    if len(set(lengths.values())) > 1:
        words = ", ".join(f"{n} in {key}" for key, n in lengths.items())
        raise DataError(f"{path} has arrays of different lengths: {words} samples", _HINT)
    return found


def _member(path: Path, archive: zipfile.ZipFile, key: str) -> Array:
    """One array. Its header is checked against the file before anything is allocated."""
    name = f"{key}.npy"
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
        # `_samples` and `_labels` narrow types and ranks further
        sizes = len(shape) <= _RANK and all(0 <= n <= _LARGEST for n in shape)
        if dtype.hasobject:
            raise DataError(f"{name} in {path} holds Python objects", _HINT)
        if dtype.kind not in "iufb" or not sizes:
            raise DataError(f"{name} in {path} is {dtype} of shape {shape}", _HINT)
        nbytes = math.prod(shape) * dtype.itemsize
        if stream.tell() + nbytes != info.file_size:
            raise DataError(f"{name} in {path} does not have the length in its header", _HINT)
    with archive.open(info) as stream:
        found: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return found


def _samples(path: Path, key: str, x: Array) -> Array:
    if x.dtype not in _TYPES:
        raise DataError(f"{key} in {path} is {x.dtype}", f'convert it: {key}.astype("float32")')
    if x.ndim < 2 or x.size == 0:
        raise DataError(
            f"{key} in {path} has shape {x.shape}", "it must be (samples, ...), not empty"
        )
    if x.dtype == np.float32 and not np.isfinite(x).all():
        raise DataError(f"{key} in {path} contains NaN or infinity", "remove those samples")
    return x


def _labels(path: Path, n: int, y: Array | None) -> npt.NDArray[np.int64]:
    if y is None:
        return np.full(n, -1, np.int64)
    if not np.issubdtype(y.dtype, np.integer) or y.ndim != 1:
        what = f"y in {path} is {y.dtype} of shape {y.shape}"
        raise DataError(what, "it must be one integer label per sample")
    if n != len(y):
        raise DataError(f"{path} has {n} samples in x and {len(y)} labels in y", _HINT)
    if y.min() < 0 or y.max() > np.iinfo(np.int32).max:
        what = f"labels in {path} range from {y.min()} to {y.max()}"
        raise DataError(what, "they must be class numbers from 0")
    return y.astype(np.int64)
