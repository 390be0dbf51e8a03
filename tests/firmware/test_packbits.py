# SPDX-License-Identifier: Apache-2.0
"""The firmware's in-place unpacking, compiled for this machine, unpacks what the host packs."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.wire.packbits import pack, unpack
from tests.support.firmware import SOURCES, shared_library
from tests.wire.test_packbits import DATA

pytestmark = [pytest.mark.firmware, pytest.mark.usefixtures("needs_gcc")]
GUARD = 16


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    source = SOURCES / "hil_wire" / "hil_packbits.c"
    found = shared_library(source, tmp_path_factory.mktemp("packbits"))
    found.hil_unpack.argtypes = [ctypes.c_void_p, *[ctypes.c_size_t] * 3]
    found.hil_unpack.restype = ctypes.c_size_t
    return found


def in_place(library: ctypes.CDLL, packed: bytes, wanted: int, size: int) -> bytes | None:
    """What the firmware unpacks from ``packed`` in a buffer of ``size``; None if it refuses."""
    space = bytearray(b"\x77" * (size + 2 * GUARD))
    space[GUARD + size - len(packed) : GUARD + size] = packed
    buffer = (ctypes.c_uint8 * len(space)).from_buffer(space)
    at = ctypes.byref(buffer, GUARD)
    found = library.hil_unpack(at, size, len(packed), wanted)
    assert space[:GUARD] == space[-GUARD:] == b"\x77" * GUARD
    return bytes(space[GUARD : GUARD + wanted]) if found == wanted else None


def spare(length: int) -> int:
    """HIL_RX_SPARE of hil_setup.h."""
    return length // 128 + 1


@given(data=DATA)
def test_what_the_host_packs_fits_the_receive_buffer(library: ctypes.CDLL, data: bytes) -> None:
    assert in_place(library, pack(data), len(data), len(data) + spare(len(data))) == data


@given(packed=st.binary(max_size=300), spared=st.integers(0, 40), wanted=st.integers(0, 600))
def test_any_bytes_are_unpacked_as_the_host_does_or_refused(
    library: ctypes.CDLL, packed: bytes, spared: int, wanted: int
) -> None:
    found = in_place(library, packed, wanted, max(len(packed), wanted) + spared)
    try:
        right = unpack(packed, wanted)
    except ValueError:
        assert found is None
        return
    assert found in (None, right)
    # with enough room it must succeed
    assert in_place(library, packed, wanted, len(packed) + wanted) == right
