# SPDX-License-Identifier: Apache-2.0
"""PackBits: runs of equal bytes in two bytes each (TIFF 6.0, section 9; Apple TN1023). Zeros at the
end are left out: whoever unpacks knows how many bytes there are.

Own code, because what PyPI has goes byte by byte in Python: a millisecond for a digit.
"""

from __future__ import annotations

import re
from typing import Final

MOST: Final = 128  # bytes under one head; a head of 128 means nothing
_RUN: Final = re.compile(rb"(.)\1\1+", re.DOTALL)  # two alike are shorter only on their own


def pack(data: bytes) -> bytes:
    """``data`` as heads and bytes; longer than it by one in 128 at the most."""
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
        packed.append((257 - count) % 256)  # a single byte is a copy, whose head is 0
        packed += byte
        done = end
    if done < len(data):
        _copy(packed, data[done:])
    return bytes(packed)


def unpack(packed: bytes, length: int) -> bytes:
    """The ``length`` bytes that ``packed`` stands for; ValueError when it ends too early, or stands
    for more."""
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
