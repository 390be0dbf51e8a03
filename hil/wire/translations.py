# SPDX-License-Identifier: Apache-2.0
"""What a line may do to certain bytes on the way, and how to recognise it.

A terminal driver, an adapter or a server between host and board may swallow XON and XOFF, clear
bit 7, or translate line ends. Each such `Translation` is a function of the bytes that were sent.
`explain` finds the one that turned a valid frame into the block that arrived: undoing it must give
a frame whose CRC-32 is right, so chance explains one block in four billion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from hil.wire.frames import Frame, decode

_MOST_TRIES: Final = 4096  # originals of one block that are tried per translation
_MOST_LOST: Final = 2  # bytes that a block may have lost
_LONGEST: Final = 600  # bytes of a block that is explained; ERROR and HELLO replies are shorter


@dataclass(frozen=True, slots=True)
class Translation:
    """``forward``: bytes as sent -> as they arrive; ``undone``: what a block may have been before.

    ``special``: bytes that it changes. ``what`` follows "the line"; ``hint`` is what to do.
    """

    name: str
    special: frozenset[int]
    forward: Callable[[bytes], bytes]
    undone: Callable[[bytes], Iterator[bytes]]
    what: str
    hint: str


def _without(gone: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.translate(None, gone)


def _inserted(lost: bytes) -> Callable[[bytes], Iterator[bytes]]:
    """Blocks that have one or two bytes of ``lost`` more."""

    def undone(block: bytes) -> Iterator[bytes]:
        whole = [block]
        for _ in range(_MOST_LOST):
            whole = [
                one[:at] + bytes([byte]) + one[at:]
                for one in whole
                for at in range(len(one) + 1)
                for byte in lost
            ]
            yield from whole
            if len(whole) > _MOST_TRIES:
                return

    return undone


def _swapped(old: bytes, new: bytes) -> Callable[[bytes], Iterator[bytes]]:
    """Blocks in which some of ``new`` were ``old``."""

    def undone(block: bytes) -> Iterator[bytes]:
        pieces = block.split(new)
        places = range(1, len(pieces))
        for count in range(len(pieces) - 1, 0, -1):  # all of them first
            for chosen in combinations(places, count):
                joints = (old if i in chosen else new for i in places)
                yield pieces[0] + b"".join(
                    joint + piece for joint, piece in zip(joints, pieces[1:], strict=True)
                )

    return undone


def _replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old, new)


def _seven(data: bytes) -> bytes:
    return bytes(byte & 0x7F for byte in data)


def _nothing(_: bytes) -> Iterator[bytes]:
    """Bits that are lost cannot be restored: such blocks are compared with expected ones."""
    return iter(())


_RAW: Final = (
    "set the port and everything between to raw 8-bit data: no terminal mode, no text mode of a "
    "network adapter (`stty -F PORT raw -echo`)"
)
TRANSLATIONS: Final = (
    Translation(
        "xon-xoff",
        frozenset(b"\x11\x13"),
        _without(b"\x11\x13"),
        _inserted(b"\x11\x13"),
        "swallows the bytes 0x11 and 0x13 (XON/XOFF, software flow control)",
        "switch software flow control off, in the adapter, the server of the port, or the board's "
        "UART (`stty -F PORT -ixon -ixoff`)",
    ),
    Translation(
        "seven-bits",
        frozenset(range(0x80, 0x100)),
        _seven,
        _nothing,
        "carries seven bits: bit 7 of each byte is cleared",
        "set both ends to 8 data bits and no parity (8N1), and switch off stripping "
        "(`stty -F PORT cs8 -parenb -istrip`)",
    ),
    Translation(
        "lf-to-crlf",
        frozenset(b"\n"),
        _replaced(b"\n", b"\r\n"),
        _swapped(b"\n", b"\r\n"),
        "translates line ends: 0x0A arrives as 0x0D 0x0A",
        _RAW,
    ),
    Translation(
        "cr-to-lf",
        frozenset(b"\r"),
        _replaced(b"\r", b"\n"),
        _swapped(b"\r", b"\n"),
        "translates line ends: 0x0D arrives as 0x0A",
        _RAW,
    ),
    Translation(
        "lf-to-cr",
        frozenset(b"\n"),
        _replaced(b"\n", b"\r"),
        _swapped(b"\n", b"\r"),
        "translates line ends: 0x0A arrives as 0x0D",
        _RAW,
    ),
    Translation(
        "no-cr",
        frozenset(b"\r"),
        _without(b"\r"),
        _inserted(b"\r"),
        "swallows the byte 0x0D (carriage return)",
        _RAW,
    ),
    Translation(
        "telnet",
        frozenset(b"\xff"),
        _replaced(b"\xff", b"\xff\xff"),
        _swapped(b"\xff", b"\xff\xff"),
        "doubles the byte 0xFF, as telnet does",
        "use a raw TCP port of the server (socket://), or rfc2217:// if it speaks RFC 2217",
    ),
)


def explain(block: bytes, expected: Sequence[bytes] = ()) -> set[str]:
    """The translations that turned a valid frame into ``block`` (without its delimiter).

    ``expected``: encoded frames, without their delimiters, one of which may have been sent. Empty
    if nothing explains the block, or if it is a valid frame as it is.
    """
    if not 0 < len(block) <= _LONGEST or isinstance(decode(block), Frame):
        return set()
    return {one.name for one in TRANSLATIONS if _is_from(one, block, expected)}


def _is_from(one: Translation, block: bytes, expected: Sequence[bytes]) -> bool:
    if any(frame != block == one.forward(frame) for frame in expected):
        return True
    return any(
        isinstance(decode(before), Frame) and one.forward(before) == block
        for before in _some(one.undone(block))
    )


def _some(tries: Iterable[bytes]) -> Iterator[bytes]:
    for count, before in enumerate(tries):
        if count == _MOST_TRIES:
            return
        yield before


def named(name: str) -> Translation:
    """The translation of that name."""
    return next(one for one in TRANSLATIONS if one.name == name)
