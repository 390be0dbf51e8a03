# SPDX-License-Identifier: Apache-2.0
"""How the firmware tells text from frames, compiled for this machine."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hil.core.records import Encoding
from hil.wire.frames import Frame, encode, encode_request
from hil.wire.messages import (
    baud_request,
    clock_request,
    hello_request,
    infer_request,
    layers_request,
    profile_request,
    status_request,
)
from tests.support.firmware import SOURCES, shared_library

pytestmark = [pytest.mark.firmware, pytest.mark.usefixtures("needs_gcc")]
FRAME, MORE, COMMAND, TOO_LONG, DAMAGED = range(5)  # hil_text_event_t
Push = Callable[[bytes], list[int]]

SEQ = st.integers(0, 0xFFFF)
MODEL = st.integers(0, 255)
ENCODING = st.sampled_from(Encoding)
# mostly without zeros, so that the first byte of the frame can have any value
VALUES = st.binary(max_size=300) | st.lists(st.integers(1, 255), max_size=300).map(bytes)
REQUESTS = st.one_of(
    st.builds(hello_request, SEQ),
    st.builds(clock_request, SEQ),
    st.builds(baud_request, SEQ, st.integers(0, 2**32 - 1)),
    st.builds(status_request, SEQ, reset=st.booleans()),
    st.builds(infer_request, SEQ, MODEL, ENCODING, VALUES, packed=st.booleans()),
    st.builds(
        layers_request, SEQ, MODEL, ENCODING, VALUES, layer=SEQ, offset=st.integers(0, 2**32 - 1)
    ),
    st.builds(profile_request, SEQ, MODEL, ENCODING, VALUES, SEQ),
    st.builds(Frame, st.integers(0, 255), SEQ, VALUES, st.integers(0, 255)),
)
# starts with 0x23, a printable byte
PRINTABLE = infer_request(0x0101, 1, Encoding.PIXELS, b"\x01" * 28 + b"\0", packed=True)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    source = SOURCES / "hil_session" / "hil_text.c"
    found = shared_library(source, tmp_path_factory.mktemp("text"))
    found.hil_text_push.argtypes = [ctypes.c_void_p, ctypes.c_uint8]
    return found


def fresh(library: ctypes.CDLL) -> Push:
    """A freshly booted board: a function that takes bytes and returns the event of each."""
    state = (ctypes.c_uint8 * 256)()
    return lambda data: [library.hil_text_push(ctypes.byref(state), byte) for byte in data]


@given(before=st.sampled_from([b"\0", b"name%", b"na\0", b"\x01\x02\0"]), request=REQUESTS)
@example(before=b"name%", request=PRINTABLE)
def test_every_request_of_a_host_is_taken_as_a_frame(
    library: ctypes.CDLL, before: bytes, request: Frame
) -> None:
    """Also directly after boot or text, unless its first byte is a line end there; therefore a host
    first sends a zero."""
    push = fresh(library)
    push(before)
    data = encode_request(request)
    if before.endswith(b"%") and data[0] in b"\r\n":
        data = b"\0" + data
    assert set(push(data)) == {FRAME}
    assert push(b"name%")[-1] == COMMAND


def test_without_leading_zeros_a_request_can_look_like_text(library: ctypes.CDLL) -> None:
    data = encode(PRINTABLE)
    assert data[0] == 0x23
    assert encode_request(PRINTABLE) == b"\0\0" + data
    assert fresh(library)(b"\0" + data)[-1] == DAMAGED


@given(request=REQUESTS)
def test_a_request_has_leading_zeros_only_if_it_needs_them(request: Frame) -> None:
    data = encode(request)
    printable = 0x20 <= data[0] <= 0x7E
    assert encode_request(request) == (b"\0\0" + data if printable else data)


@given(
    commands=st.lists(
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters="%"))
    )
)
def test_the_longest_command_has_80_characters(library: ctypes.CDLL, commands: list[str]) -> None:
    push = fresh(library)
    for command in commands:
        events = push(command.encode() + b"%")
        assert events[-1] == (COMMAND if len(command) <= 80 else TOO_LONG)
        assert set(events[:-1]) <= {MORE}


@given(noise=st.binary(max_size=200))
def test_after_a_zero_any_noise_is_forgotten(library: ctypes.CDLL, noise: bytes) -> None:
    push = fresh(library)
    push(noise + b"\0")
    assert set(push(encode_request(hello_request(7)))) == {FRAME}
    assert push(b"%") == [COMMAND]
