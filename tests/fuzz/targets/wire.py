# SPDX-License-Identifier: Apache-2.0
"""Bytes from a serial line: the decoder, the parsers of replies, PackBits, diagnoses."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from random import Random

from cobs import cobs

from hil.testing.board import DOWNLOAD, PANIC
from hil.wire import packbits
from hil.wire.diagnosis import board_says
from hil.wire.frames import Decoder, Frame, encode
from hil.wire.messages import parse_reply
from tests.fuzz.damage import bytes_like

_GOLDEN = json.loads((Path(__file__).parents[3] / "firmware/golden/wire.json").read_text("utf-8"))
_FRAMES = [(one["type"], bytes.fromhex(one["payload"])) for one in _GOLDEN["frames"]]
SEEDS = [bytes.fromhex(one["encoded"]) for one in _GOLDEN["frames"]]
SEEDS += [bytes.fromhex(one["stream"]) for one in _GOLDEN["streams"]]
SEEDS += [bytes.fromhex(one["packed"]) for one in _GOLDEN["packed"]]
SEEDS += [PANIC, DOWNLOAD]


def damage(random: Random, data: bytes) -> bytes:
    """Half of the cases have a right CRC, as from a hostile board."""
    if random.random() < 0.5:
        return bytes_like(random, data, SEEDS)
    kind, payload = random.choice(_FRAMES)
    kind = random.choice((kind, kind | 0x80, 0xFF, 0x81, 0x87, 0x00))
    spoilt = bytes_like(random, payload, [payload])
    body = bytes((random.choice((1, 1, 1, 0, 255)), kind, 0, 0)) + spoilt
    return bytes(cobs.encode(body + zlib.crc32(body).to_bytes(4, "little"))) + b"\0"


def check(data: bytes, _: Path) -> None:
    whole = list(Decoder().feed(data))
    # the result does not depend on how the bytes are cut
    parts = Decoder()
    at = len(data) // 3
    assert [*parts.feed(data[:at]), *parts.feed(data[at:])] == whole
    narrow = Decoder(limit=16)
    list(narrow.feed(data))
    assert len(narrow._pending) <= 16
    for found in whole:
        if isinstance(found, Frame):
            assert list(Decoder().feed(encode(found))) == [found]
            str(parse_reply(found))
    if ill := board_says(data):
        said = str(ill.error("port"))
        assert said.isprintable()
        assert len(said) < 1000
    try:
        unpacked = packbits.unpack(data, 4096)
    except ValueError:  # its documented error
        return
    assert len(unpacked) == 4096
    assert packbits.unpack(packbits.pack(unpacked), 4096) == unpacked
