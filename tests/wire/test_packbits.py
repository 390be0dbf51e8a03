# SPDX-License-Identifier: Apache-2.0
"""PackBits compared with Pillow's decoder and the firmware's golden vectors, and with any bytes."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hil.wire.packbits import MOST, pack, unpack

GOLDEN = Path(__file__).parents[2] / "firmware" / "golden" / "wire.json"
VECTORS = json.loads(GOLDEN.read_text("utf-8"))["packed"]
# long runs, short ones and none, as in pictures
PIECES = st.one_of(
    st.tuples(st.binary(min_size=1, max_size=1), st.integers(1, 400)).map(lambda p: p[0] * p[1]),
    st.binary(max_size=300),
    st.lists(st.sampled_from([b"\0", b"\x01"]), max_size=40).map(b"".join),
)
DATA = st.lists(PIECES, min_size=1, max_size=8).map(b"".join)


def named(found: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(vector, id=vector["name"]) for vector in found]


def pillow(packed: bytes, length: int) -> bytes:
    """Unpacked by Pillow."""
    return Image.frombytes("L", (length, 1), packed, "packbits", "L").tobytes()


def shortest(data: bytes) -> int:
    """Length of the shortest packing, by trying every header at every byte."""
    best = [0] * (len(data) + 1)
    for at in range(len(data) - 1, -1, -1):
        most = min(MOST, len(data) - at)
        best[at] = min(1 + n + best[at + n] for n in range(1, most + 1))
        alike = 1
        while alike < most and data[at + alike] == data[at]:
            alike += 1
        best[at] = min([best[at], *(2 + best[at + n] for n in range(2, alike + 1))])
    return best[0]


@given(DATA)
def test_unpacking_restores_what_was_packed(data: bytes) -> None:
    assert unpack(pack(data), len(data)) == data


@settings(deadline=None)  # the machine may be busy
@given(DATA.filter(bool))
def test_pillow_unpacks_the_same(data: bytes) -> None:
    kept = data.rstrip(b"\0") or data[:1]
    assert pillow(pack(data) or b"\0\0", len(kept)) == kept


@settings(deadline=None)
@given(st.binary(max_size=60) | DATA.map(lambda data: data[:200]))
def test_the_packing_is_at_most_two_bytes_longer_than_the_shortest(data: bytes) -> None:
    packed = len(pack(data))
    data = data.rstrip(b"\0")
    assert shortest(data) <= packed <= len(data) + -(-len(data) // MOST)
    assert packed - shortest(data) <= 2


@pytest.mark.parametrize("vector", named([v for v in VECTORS if v["unpacked"] is not None]))
def test_golden_vectors_are_unpacked(vector: dict[str, Any]) -> None:
    packed, wanted = bytes.fromhex(vector["packed"]), bytes.fromhex(vector["unpacked"])
    assert unpack(packed, len(wanted)) == wanted
    assert len(wanted) == vector["wanted"]
    assert len(pack(wanted)) <= len(packed)


@pytest.mark.parametrize("vector", named([v for v in VECTORS if "early" in v["name"]]))
def test_bytes_that_end_too_early_are_an_error(vector: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="too early"):
        unpack(bytes.fromhex(vector["packed"]), 800)


def test_bytes_that_unpack_to_too_much_are_an_error() -> None:
    with pytest.raises(ValueError, match="4 bytes, not 3"):
        unpack(b"\xfd\x42", 3)


@given(st.binary(max_size=200))
def test_any_bytes_are_unpacked_or_refused(packed: bytes) -> None:
    try:
        found = unpack(packed, 30_000)
    except ValueError:
        return
    assert unpack(pack(found), 30_000) == found
