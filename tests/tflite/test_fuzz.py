# SPDX-License-Identifier: Apache-2.0
"""A damaged file gives a graph or a ModelError, quickly and in little memory."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil.core.errors import ModelError
from hil.engines.aot import generate
from hil.tflite import read_model
from tests.support import reductions
from tests.support.loops import recurrent
from tests.support.one_move import several_moves
from tests.support.states import stream
from tests.support.tflite import float_cnn, int8_cnn

GOOD = [
    float_cnn().finish(),
    int8_cnn().finish(),
    stream("int8").finish(),
    reductions.several("int8"),
    several_moves(),
    recurrent(2, "float32", keep=True, rounds=3).finish(),
]


def survive(data: bytes) -> None:
    """Read the file and generate its code: only a ModelError, in one line, may be raised."""
    try:
        generate(read_model(data), "fuzz", "fuzz.tflite")
    except ModelError as error:
        message = str(error)
    else:
        message = ""
    assert "\n" not in message


@pytest.mark.parametrize("good", GOOD)
def test_every_truncation(good: bytes) -> None:
    for length in range(0, len(good), 7):
        with pytest.raises(ModelError):
            read_model(good[:length])


@settings(max_examples=300, deadline=None)
@given(
    which=st.integers(0, len(GOOD) - 1),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=4),
)
def test_flipped_bits(which: int, flips: list[tuple[float, int]]) -> None:
    data = bytearray(GOOD[which])
    for place, bit in flips:
        data[int(place * len(data))] ^= 1 << bit
    survive(bytes(data))


@settings(max_examples=300, deadline=None)
@given(
    which=st.integers(0, len(GOOD) - 1),
    place=st.floats(0, 1, exclude_max=True),
    value=st.sampled_from([0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 1 << 20, 16]),
)
def test_words_overwritten(which: int, place: float, value: int) -> None:
    """Lengths and offsets become huge, negative or zero."""
    data = bytearray(GOOD[which])
    at = int(place * (len(data) - 4)) & ~3
    data[at : at + 4] = struct.pack("<I", value)
    survive(bytes(data))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_noise_behind_the_identifier(noise: bytes) -> None:
    survive(noise[:4].ljust(4, b"\x08") + b"TFL3" + noise[4:])


@pytest.mark.slow
def test_every_byte_changed() -> None:
    random = np.random.default_rng(7)
    for good in GOOD:
        for place in range(len(good)):
            data = bytearray(good)
            data[place] ^= int(random.integers(1, 256))
            survive(bytes(data))
