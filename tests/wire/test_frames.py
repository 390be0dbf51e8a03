# SPDX-License-Identifier: Apache-2.0
"""Frames: round trips, damage and limits, against properties rather than examples."""

import itertools

from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from hil.wire.frames import BadFrame, Decoder, Frame, decode, encode, stuff

frames = st.builds(
    Frame, st.integers(0, 255), st.integers(0, 65535), st.binary(max_size=600), st.integers(0, 255)
)


@given(st.lists(frames, max_size=5), st.data())
def test_stream_cut_anywhere_gives_the_same_frames(sent: list[Frame], data: st.DataObject) -> None:
    stream = b"".join(map(encode, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    decoder = Decoder()
    edges = [0, *cuts, len(stream)]
    got = [f for a, b in itertools.pairwise(edges) for f in decoder.feed(stream[a:b])]
    assert got == sent


@given(frames, st.data())
def test_one_changed_byte_is_never_taken_for_a_frame(frame: Frame, data: st.DataObject) -> None:
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


def test_a_block_over_the_limit_is_dropped_and_named() -> None:
    decoder = Decoder(limit=16)
    got = [
        *decoder.feed(b"x" * 10),
        *decoder.feed(b"x" * 10 + b"\0"),
        *decoder.feed(encode(Frame(1, 1))),
    ]
    assert got == [BadFrame("longer than the limit", 20), Frame(1, 1)]


def test_short_block_is_bad() -> None:
    assert decode(b"\x03ab") == BadFrame("too short", 3)


# zeros now and then, and blocks around the longest there is
BODIES = st.lists(
    st.one_of(st.binary(max_size=20), st.integers(250, 260).map(lambda n: b"\x07" * n)), max_size=5
).map(b"\0".join)


@given(
    BODIES | st.lists(st.integers(252, 256).map(lambda n: b"\x07" * n), max_size=4).map(b"".join)
)
def test_stuffing_is_that_of_the_cobs_package(body: bytes) -> None:
    assert stuff(body) == cobs.encode(body)
