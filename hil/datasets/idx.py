"""The IDX file format: a magic number, big-endian dimensions, bytes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hil.errors import DataError

_UINT8 = 0x08  # IDX's type code
_GZIP = b"\x1f\x8b"


def read_bytes(path: Path, limit: int, hint: str) -> bytes:
    """The content of ``path``, unpacked when it is gzip; at most ``limit`` bytes.

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
        raise DataError(f"{path} is longer than the {limit} bytes expected of it", hint)
    return content


def parse(
    content: bytes, shape: tuple[int, ...], where: str, hint: str = ""
) -> npt.NDArray[np.uint8]:
    """Bytes of an IDX file to an array of exactly ``shape`` (a read-only view).

    The format: http://yann.lecun.com/exdb/mnist (bytes 0 0, type, rank, then
    rank big-endian uint32 dimensions, then the elements).

    Raises:
        DataError: not IDX, another type or shape, or not as long as its header says.
    """
    header = 4 + 4 * len(shape)
    if len(content) < header:
        raise DataError(f"{where} is truncated: {len(content)} bytes, no IDX header", hint)
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
