# SPDX-License-Identifier: Apache-2.0
"""PackBits: runs of equal bytes in two bytes each (TIFF 6.0, section 9; Apple TN1023).

Trailing zeros are omitted: the receiver knows the length. This is our own code because the packages
on PyPI loop over bytes in Python, which takes a millisecond per digit.
"""

from __future__ import annotations

import re
from typing import Final

MOST: Final = 128  # bytes per header byte; a header with the value 128 is skipped
_RUN: Final = re.compile(
    rb"(.)\1\1+", re.DOTALL
)  # a run of two saves a byte only when it stands alone


def pack(data: bytes) -> bytes:
    """``data`` packed; longer than ``data`` by at most one byte per 128."""
    data = data.rstrip(b"\0")
    packed = bytearray()
    done = 0
    for run in _RUN.finditer(data):
        start, end = run.span()
        if 2 < start - done <= MOST:
            packed.append(start - done - 1)
            packed += data[done:start]
        elif start > done:
            _copy(packed, data[done:start])
        byte = data[start : start + 1]
        count = end - start
        while count > MOST:
            packed += b"\x81" + byte
            count -= MOST
        packed.append((257 - count) % 256)  # a single byte is a copy, with header 0
        packed += byte
        done = end
    if done < len(data):
        _copy(packed, data[done:])
    return bytes(packed)


def unpack(packed: bytes, length: int) -> bytes:
    """The ``length`` bytes in ``packed``.

    ValueError when it ends too early or unpacks to more.
    """
    data = bytearray()
    at = 0
    while at < len(packed):
        head = packed[at]
        at += 1
        if head == MOST:
            continue
        count = head + 1 if head < MOST else 1
        piece = packed[at : at + count]
        if len(piece) < count:
            raise ValueError(f"ends {count - len(piece)} bytes too early")
        data += piece if head < MOST else piece * (257 - head)
        at += count
    if len(data) > length:
        raise ValueError(f"{len(data)} bytes, not {length}")
    return bytes(data).ljust(length, b"\0")


def _copy(packed: bytearray, data: bytes) -> None:
    for start in range(0, len(data), MOST):
        piece = data[start : start + MOST]
        if len(piece) == 2 and piece[0] == piece[1]:
            packed += b"\xff" + piece[:1]
            continue
        packed.append(len(piece) - 1)
        packed += piece
