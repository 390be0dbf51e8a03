# SPDX-License-Identifier: Apache-2.0
"""NumPy arrays from untrusted files: a header is checked against the file before anything is
allocated, large arrays are mapped instead of read, and nothing is unpickled."""

from __future__ import annotations

import hashlib
import math
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.errors import DataError
from hil.core.files import did_you_mean
from hil.core.records import DType
from hil.core.text import printable

Array: TypeAlias = npt.NDArray[np.generic]

LARGEST: Final = 4 << 30  # bytes of an array that is read into memory
MAPPED: Final = 16 << 20  # bytes from which on an uncompressed array is mapped
NUMBERS: Final = "iufb"  # kinds of `numpy.dtype`
STRINGS: Final = "US"
_RANK = 8  # most dimensions of an array
_DEFLATE = 1100  # bytes per compressed byte, a little over the format's limit of 1032
_BLOCK = 1 << 20  # bytes that are checked at a time
_TYPES = tuple(one.numpy for one in DType)
_DAMAGED = (
    *(ValueError, TypeError, OverflowError, EOFError, RuntimeError, SyntaxError, RecursionError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError, struct.error),
)
HINT: Final = 'save it with numpy.savez(path, x=..., y=...), x as "uint8", "int8" or "float32"'


def name_of(path: Path) -> str:
    """A file's name as the name of a data set: without its suffix, and printable."""
    return printable(path.stem)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, read in blocks; OSError if it cannot be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the errors of a file that cannot be read, or is damaged, into a DataError."""
    where = printable(str(path))
    try:
        # NumPy warns of headers that Python 2 wrote, and reads them
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            yield
    except OSError as error:
        what = f"{where} cannot be read ({error.strerror or error})"
        raise DataError(what, f"{did_you_mean(path)}check the path") from error
    except MemoryError as error:
        raise DataError(f"{where} does not fit in memory", "save fewer samples") from error
    except _DAMAGED as error:
        raise DataError(f"{where} is damaged or holds Python objects ({error})", HINT) from error


@dataclass(frozen=True, slots=True)
class Header:
    """What an .npy says of its array; ``start``: the offset of its values."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.generic]
    start: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def read_header(stream: IO[bytes], size: int, where: str, kinds: str = NUMBERS) -> Header:
    """The header of an .npy of ``size`` bytes; DataError if its array is not one of ``kinds``, or
    does not have that size."""
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0}.get(version)
    read = read or np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream)
    sizes = len(shape) <= _RANK and all(0 <= n <= size for n in shape)
    if dtype.hasobject:
        raise DataError(f"{where} holds Python objects", HINT)
    if dtype.kind not in kinds or not sizes:
        raise DataError(f"{where} is {dtype} of shape {shape}", HINT)
    found = Header(shape, fortran, dtype, stream.tell())
    if found.start + found.nbytes != size:
        raise DataError(f"{where} does not have the length in its header", HINT)
    return found


def mapped(path: Path, header: Header, start: int) -> Array:
    """The array whose .npy begins at ``start`` of a file, read when its values are used."""
    begin = start + header.start
    flat = np.memmap(path, header.dtype, "r", begin, math.prod(header.shape))
    return np.asarray(flat).reshape(header.shape, order="F" if header.fortran else "C")


def load_npy(path: Path) -> Array:
    """The array in an .npy file."""
    where, size = printable(str(path)), path.stat().st_size
    with path.open("rb") as stream:
        if stream.read(6) != b"\x93NUMPY":
            raise DataError(f"{where} is not an .npy file", "save it with numpy.save(path, x)")
        stream.seek(0)
        header = read_header(stream, size, where)
        if header.nbytes >= MAPPED:
            return mapped(path, header, 0)
        stream.seek(0)
        found: Array = np.lib.format.read_array(stream, allow_pickle=False)
        return found


def member(path: Path, archive: zipfile.ZipFile, key: str, kinds: str = NUMBERS) -> Array:
    """The array ``key`` of an .npz."""
    name, where = f"{key}.npy", printable(str(path))
    info = archive.getinfo(name)
    name = printable(name)
    stored = info.compress_type == zipfile.ZIP_STORED
    if not stored and info.compress_type != zipfile.ZIP_DEFLATED:
        raise DataError(f"{name} in {where} uses a compression that NumPy does not write", HINT)
    most = info.compress_size if stored else _DEFLATE * info.compress_size + _DEFLATE
    if info.file_size > min(most, path.stat().st_size * _DEFLATE):
        raise DataError(f"{name} in {where} is shorter than the archive says", HINT)
    if info.file_size > LARGEST and not stored:
        what = f"{name} in {where} has {info.file_size:,} bytes"
        hint = f"{LARGEST:,} is the limit: save fewer samples, or use numpy.savez, which does not "
        raise DataError(what, f"{hint}compress")
    with archive.open(info) as stream:
        header = read_header(stream, info.file_size, f"{name} in {where}", kinds)
        if stored and header.nbytes >= MAPPED:
            while stream.read(_BLOCK):  # up to the end, where its check sum is compared
                pass
            return mapped(path, header, _start(path, info))
    with archive.open(info) as stream:
        found: Array = np.lib.format.read_array(stream, allow_pickle=False)
    return found


def kind(archive: zipfile.ZipFile, key: str) -> str:
    """The kind of the array ``key``, by its header; see `numpy.dtype.kind`."""
    info = archive.getinfo(f"{key}.npy")
    with archive.open(info) as stream:
        return read_header(stream, info.file_size, key, NUMBERS + STRINGS).dtype.kind


_LOCAL: Final = struct.Struct("<4s22xHH")  # signature, ..., lengths of the name and of the rest


def _start(path: Path, info: zipfile.ZipInfo) -> int:
    """The offset of a stored member's bytes: after its local header, which may differ from the
    archive's directory."""
    with path.open("rb") as stream:
        stream.seek(info.header_offset)
        signature, name, extra = _LOCAL.unpack(stream.read(_LOCAL.size))
    if signature != b"PK\x03\x04":
        raise DataError(f"{printable(str(path))} is damaged", HINT)
    return info.header_offset + _LOCAL.size + int(name) + int(extra)


def as_samples(x: Array, where: str) -> Array:
    """Samples (n, ...) in one of the types of `DType`: other floats become float32.

    DataError for other types, no samples, NaN and infinity.
    """
    if x.dtype.kind == "f" and x.dtype != np.float32 and x.size * 4 <= LARGEST:
        with np.errstate(over="ignore"):  # what overflows is infinite, and refused below
            x = x.astype(np.float32)
    if x.dtype not in _TYPES:
        raise DataError(f"{where} is {x.dtype}", 'convert it: .astype("float32")')
    if x.ndim < 2 or x.size == 0:
        raise DataError(f"{where} has shape {x.shape}", "it must be (samples, ...), not empty")
    if x.dtype == np.float32 and not is_finite(x):
        raise DataError(f"{where} contains NaN or infinity", "remove those samples")
    return x


def is_finite(x: Array) -> bool:
    """Whether no value is NaN or infinite; a few rows at a time, for mapped arrays."""
    rows = max(1, _BLOCK // max(1, x[0].nbytes))
    return all(np.isfinite(x[i : i + rows]).all() for i in range(0, len(x), rows))
