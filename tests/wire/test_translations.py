# SPDX-License-Identifier: Apache-2.0
"""Translated bytes are recognised by the CRC of the frame that they were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.wire.frames import Frame, decode, encode
from hil.wire.messages import ErrorCode, Kind, pack_refusal
from hil.wire.translations import TRANSLATIONS, explain, named

COMPLAINT = encode(Frame(Kind.ERROR, 0, pack_refusal(ErrorCode.FRAME)))[:-1]
RECOVERABLE = [one.name for one in TRANSLATIONS if one.name != "seven-bits"]
frames = st.builds(Frame, st.integers(0, 255), st.integers(0, 0xFFFF), st.binary(max_size=40)).map(
    lambda frame: encode(frame)[:-1]
)


@given(frames)
def test_a_valid_frame_needs_no_explanation(block: bytes) -> None:
    assert explain(block) == set()


@pytest.mark.parametrize("name", RECOVERABLE)
@given(data=st.data())
def test_every_translation_is_recognised(name: str, data: st.DataObject) -> None:
    one = named(name)
    special = st.sampled_from(sorted(one.special))
    ordinary = st.sampled_from(sorted(set(range(1, 256)) - one.special - {0x0D, 0x0A}))
    payload = bytes(data.draw(st.lists(ordinary, max_size=12)))
    payload += bytes([data.draw(special)])
    sent = encode(Frame(Kind.ERROR, data.draw(st.integers(1, 0xFFFF)), payload))[:-1]
    arrived = one.forward(sent)
    changed = sum(byte in one.special for byte in sent)
    if arrived == sent or (name in ("xon-xoff", "no-cr") and changed > 2) or changed > 8:
        return
    assert name in explain(arrived)


@given(frames, st.integers(0, 400))
def test_a_flipped_bit_is_not_a_translation(block: bytes, bit: int) -> None:
    """Except where the flip happens to be one: 0x0D and 0x0A differ in three bits, never one."""
    at = bit % (8 * len(block))
    damaged = bytearray(block)
    damaged[at >> 3] ^= 1 << (at & 7)
    if 0 in damaged:
        return
    assert explain(bytes(damaged)) == set()


def test_seven_bits_are_recognised_by_what_was_expected() -> None:
    arrived = named("seven-bits").forward(COMPLAINT)
    assert explain(arrived) == set()
    assert explain(arrived, [COMPLAINT]) == {"seven-bits"}


@given(st.binary(min_size=1, max_size=700).filter(lambda block: 0 not in block))
def test_any_bytes_are_read(block: bytes) -> None:
    assert explain(block) <= {one.name for one in TRANSLATIONS}


def test_a_complaint_survives_what_does_not_touch_it() -> None:
    """The bytes of ERROR FRAME: what a line must change for the host to see it."""
    assert isinstance(decode(COMPLAINT), Frame)
    touched = {one.name for one in TRANSLATIONS if one.forward(COMPLAINT) != COMPLAINT}
    assert "seven-bits" in touched
    assert "telnet" in touched
