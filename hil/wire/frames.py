# SPDX-License-Identifier: Apache-2.0
"""COBS frames with a CRC-32: bytes <-> `Frame`. Bad bytes are values, never exceptions."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from cobs import cobs

PROTOCOL_VERSION: Final = 1
HEADER: Final = struct.Struct("<BBH")
CRC: Final = struct.Struct("<I")
OVERHEAD: Final = HEADER.size + CRC.size
DELIMITER: Final = b"\x00"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. ``payload`` is everything between header and CRC."""

    type: int
    seq: int
    payload: bytes = b""
    version: int = PROTOCOL_VERSION


@dataclass(frozen=True, slots=True)
class BadFrame:
    """Bytes between two delimiters that are not a frame; ``length`` as received."""

    reason: str
    length: int


def check_of(frame: Frame) -> int:
    """The low 16 bits of its CRC-32, which the answer to it repeats."""
    body = HEADER.pack(frame.version, frame.type, frame.seq) + frame.payload
    return zlib.crc32(body) & 0xFFFF


def encode(frame: Frame) -> bytes:
    """The bytes of one frame, including the trailing delimiter."""
    body = HEADER.pack(frame.version, frame.type, frame.seq) + frame.payload
    encoded: bytes = cobs.encode(body + CRC.pack(zlib.crc32(body)))
    return encoded + DELIMITER


def encode_request(frame: Frame) -> bytes:
    """`encode` as a host sends it.

    Two zeros go first when the frame begins like text, because a board reads MLPerf Tiny's commands
    on the same line (docs/protocol.md, Text).
    """
    data = encode(frame)
    return 2 * DELIMITER + data if 0x20 <= data[0] <= 0x7E else data


def decode(block: bytes) -> Frame | BadFrame:
    """The content of one COBS block, without its delimiter."""
    try:
        body = cobs.decode(block)
    except cobs.DecodeError:
        return BadFrame("not COBS", len(block))
    if len(body) < OVERHEAD:
        return BadFrame("too short", len(block))
    content, (crc,) = body[: -CRC.size], CRC.unpack(body[-CRC.size :])
    if zlib.crc32(content) != crc:
        return BadFrame("CRC differs", len(block))
    version, kind, seq = HEADER.unpack_from(content)
    return Frame(kind, seq, bytes(content[HEADER.size :]), version)


class Decoder:
    """Splits a stream into blocks; keeps at most ``limit`` bytes of an unfinished one."""

    def __init__(self, limit: int = 1 << 16) -> None:
        self._limit = limit
        self._pending = bytearray()
        self._dropped = 0

    def feed(self, data: bytes) -> Iterator[Frame | BadFrame]:
        """Yield every frame that ``data`` completes, in order."""
        *blocks, tail = data.split(DELIMITER)
        for block in blocks:
            self._take(block)
            if self._dropped:
                yield BadFrame("longer than the limit", self._dropped + len(self._pending))
            elif self._pending:
                yield decode(bytes(self._pending))
            self.reset()
        self._take(tail)

    def _take(self, block: bytes) -> None:
        room = self._limit - len(self._pending)
        self._pending += block[:room]
        self._dropped += max(0, len(block) - room)

    @property
    def unfinished(self) -> bool:
        """Whether a block has begun and not ended."""
        return bool(self._pending)

    @property
    def kept(self) -> int:
        """Bytes of that block."""
        return len(self._pending)

    @property
    def whole(self) -> bool:
        """Whether only the delimiter of that block is missing; its CRC says so."""
        return not self._dropped and isinstance(decode(bytes(self._pending)), Frame)

    def reset(self) -> None:
        """Forget an unfinished block."""
        self._pending.clear()
        self._dropped = 0
