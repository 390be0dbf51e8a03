# SPDX-License-Identifier: Apache-2.0
"""Frames: round trips, damage and limits, by properties."""

import itertools
import zlib

from hypothesis import given
from hypothesis import strategies as st

from hil.wire.frames import BadFrame, Decoder, Frame, decode, encode, encode_request

frames = st.builds(
    Frame, st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=600), st.integers(0, 255)
)


@given(st.lists(frames, max_size=5), st.data())
def test_a_stream_split_anywhere_gives_the_same_frames(
    sent: list[Frame], data: st.DataObject
) -> None:
    stream = b"".join(map(encode, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    decoder = Decoder()
    edges = [0, *cuts, len(stream)]
    got = [f for a, b in itertools.pairwise(edges) for f in decoder.feed(stream[a:b])]
    assert got == sent


@given(frames, st.data())
def test_a_frame_with_one_changed_byte_is_bad(frame: Frame, data: st.DataObject) -> None:
    block = bytearray(encode(frame)[:-1])
    at = data.draw(st.integers(0, len(block) - 1))
    block[at] ^= data.draw(st.integers(1, 255))
    assert all(isinstance(got, BadFrame) for got in Decoder().feed(bytes(block) + b"\0"))


@given(st.binary(max_size=300))
def test_noise_never_raises_and_the_next_frame_survives(noise: bytes) -> None:
    good = Frame(1, 7, b"after the noise")
    *_, last = Decoder().feed(noise + b"\0" + encode(good))
    assert last == good


def test_empty_blocks_are_not_frames() -> None:
    assert list(Decoder().feed(b"\0\0\0")) == []


def test_a_block_over_the_limit_is_dropped_and_reported() -> None:
    decoder = Decoder(limit=16)
    got = [
        *decoder.feed(b"x" * 10),
        *decoder.feed(b"x" * 10 + b"\0"),
        *decoder.feed(encode(Frame(1, 1))),
    ]
    assert got == [BadFrame("longer than the limit", 20), Frame(1, 1)]


def test_a_short_block_is_bad() -> None:
    assert decode(b"\x03ab") == BadFrame("too short", 3)


# zeros now and then, and blocks around the longest that COBS has
PAYLOADS = st.lists(
    st.one_of(st.binary(max_size=20), st.integers(250, 260).map(lambda n: b"\x07" * n)), max_size=5
).map(b"\0".join)


def unstuffed(block: bytes) -> bytes | None:
    """COBS as its authors define it (Cheshire and Baker, 1999); None: not COBS."""
    body, at = b"", 0
    while at < len(block):
        code, data = block[at], block[at + 1 : at + block[at]]
        if code == 0 or 0 in data or len(data) < code - 1:
            return None
        at += code
        body += data + (b"\0" if code < 0xFF and at < len(block) else b"")
    return body


@given(
    PAYLOADS | st.lists(st.integers(252, 256).map(lambda n: b"\x07" * n), max_size=4).map(b"".join)
)
def test_a_frame_is_cobs_of_header_payload_and_crc(payload: bytes) -> None:
    body = b"\x01\x03\x34\x12" + payload
    *block, delimiter = encode(Frame(3, 0x1234, payload))
    assert unstuffed(bytes(block)) == body + zlib.crc32(body).to_bytes(4, "little")
    assert delimiter == 0 not in block
    assert len(block) <= len(body) + 4 + -(-(len(body) + 4) // 254)  # the bound of COBS


# codes that point behind the end, and zeros inside, but also much that is COBS
BLOCKS = st.lists(
    st.tuples(st.sampled_from((0, 0, 0, 0, 1, -1)), st.binary(max_size=20).map(lambda b: b or b"x"))
).map(lambda pieces: b"".join(bytes([len(b) + 1 + off]) + b for off, b in pieces))


@given(BLOCKS | st.binary(max_size=20))
def test_any_block_is_read_as_cobs_defines_it(block: bytes) -> None:
    body = unstuffed(block)
    reason = "not COBS" if body is None else "too short" if len(body) < 8 else "CRC differs"
    assert decode(block) == BadFrame(reason, len(block))


@given(st.integers(1, 130))
def test_a_request_does_not_begin_like_text(before_zero: int) -> None:
    """A board would take it for a command of MLPerf Tiny: the first byte is that of COBS."""
    frame = Frame(2, 0x0101, b"x" * (before_zero - 1) + b"\0more")
    first = encode(frame)[0]
    assert first == 5 + before_zero - 1
    data = encode_request(frame)
    if chr(first).isprintable() and first < 0x80:
        assert data == b"\0\0" + encode(frame)
    else:
        assert data == encode(frame)
    assert list(Decoder().feed(data)) == [frame]
