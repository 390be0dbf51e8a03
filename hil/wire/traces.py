# SPDX-License-Identifier: Apache-2.0
"""Replies that can be recognised although no frame arrived intact.

When HELLO gets no valid reply, either the line damages everything or the board runs other firmware.
`traces` distinguishes the two: it looks for bytes that are almost a reply of our firmware.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from hil.wire.frames import HEADER, PROTOCOL_VERSION, Frame, encode
from hil.wire.messages import ErrorCode, Kind, pack_refusal

ENOUGH: Final = 3  # traces that show our firmware behind a bad line
_COMPLAINT: Final = encode(Frame(Kind.ERROR, 0, pack_refusal(ErrorCode.FRAME)))
_COMPLAINT_BITS: Final = 20  # of its 176 may differ
_HEAD_BITS: Final = 4  # of the 32 or 40 known bits of a HELLO may differ
_RARELY: Final = 8  # if fewer than one in this many blocks looks like a reply, it is chance

Bytes = npt.NDArray[np.uint8]


def traces(data: bytes, asked: Iterable[int]) -> int:
    """How many replies to the HELLOs numbered ``asked`` can be recognised in ``data``."""
    found = np.frombuffer(data, np.uint8)
    return _complaints(found) + _heads(found, asked)


def _complaints(data: Bytes) -> int:
    """ERROR replies to a damaged frame, at any offset: a flipped bit can make or break a
    delimiter."""
    size = len(_COMPLAINT)
    if len(data) < size:
        return 0
    wanted = np.frombuffer(_COMPLAINT, np.uint8)
    differing = np.zeros(len(data) - size + 1, np.int64)
    for i, byte in enumerate(wanted):
        differing += np.bitwise_count(data[i : i + len(differing)] ^ byte)
    places = np.flatnonzero(differing <= _COMPLAINT_BITS)
    count, end = 0, -1
    for place in places.tolist():  # each byte belongs to one frame
        if place > end:
            count, end = count + 1, place + size - 1
    return count


def _heads(data: Bytes, asked: Iterable[int]) -> int:
    """HELLO replies that begin after a delimiter: version, type, number, protocol."""
    starts = [0, *(match.end() for match in re.finditer(b"\0", data.tobytes()))]
    # after the first code byte of COBS, which depends on a zero further on
    begun = [start + 1 for start in starts if start + 1 + HEADER.size < len(data)]
    if not begun:
        return 0
    heads = np.stack([data[at : at + HEADER.size + 1] for at in begun])
    replies = heads[:, 1] & 0x80 != 0  # an echo of the request has this bit clear
    numbers = list(asked)
    wanted = np.frombuffer(b"".join(map(_head, numbers)), np.uint8).reshape(len(numbers), -1)
    near = np.zeros(len(heads), bool)
    for one in wanted:
        # where the number has a zero, COBS has an unknown offset
        known = np.where(one, np.uint8(0xFF), np.uint8(0))
        near |= np.bitwise_count((heads ^ one) & known).sum(axis=1) <= _HEAD_BITS
    found = int((near & replies).sum())
    return found if found * _RARELY >= len(heads) else 0


def _head(number: int) -> bytes:
    return HEADER.pack(PROTOCOL_VERSION, Kind.HELLO.reply, number) + bytes([PROTOCOL_VERSION])
