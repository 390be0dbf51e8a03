# SPDX-License-Identifier: Apache-2.0
"""The firmware gives every error that docs/protocol.md lists, and no other."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from hil.wire.frames import Decoder, Frame, encode
from hil.wire.messages import ErrorCode, Refusal, parse_reply
from tests.support.firmware import (
    FAKE_IMAGE,
    INCLUDES,
    LIBRARY,
    PROJECT,
    SOURCES,
    STRICT,
    run,
)

pytestmark = [pytest.mark.firmware, pytest.mark.usefixtures("needs_gcc")]

INFER, LAYERS, BAUD, HELLO, REPEAT = 2, 5, 4, 1, 9
LIMIT = 8 + 4 * 4  # largest payload of the fake image with HIL_LAYERS
ARENA = 16
PIXELS = b"\x01\x02\x03\x04"


def request(kind: int, payload: bytes) -> bytes:
    return encode(Frame(kind, 7, payload))


def infer(model: int, encoding: int, values: bytes) -> bytes:
    return request(INFER, bytes([model, encoding, 0, 0]) + values)


# The bytes sent, and the refusal: type and number of the request, needed, available. The models are
# 0: int8, 1: float32, 2: one that needs 4,096 bytes of arena, 3: one that fails with code 7.
CASES: dict[str, tuple[bytes, tuple[int, int, int, int]]] = {
    "VERSION": (encode(Frame(HELLO, 7, version=2)), (HELLO, 7, 2, 1)),
    "TYPE": (request(0x33, b""), (0x33, 7, 0, 0)),
    "LENGTH": (infer(0, 1, PIXELS[:3]), (INFER, 7, 8, 7)),
    "MODEL": (infer(9, 1, PIXELS), (INFER, 7, 9, 4)),
    "ENCODING": (infer(1, 2, PIXELS), (INFER, 7, 2, 0)),
    "ARENA": (infer(2, 1, PIXELS[:1]), (INFER, 7, 4096, ARENA)),
    "ENGINE": (infer(3, 1, PIXELS[:1]), (INFER, 7, 7, 0)),
    "FRAME": (b"\x00\x00\x05no!\x00", (0, 0, 0, 0)),
    "OVERSIZE": (request(INFER, bytes(LIMIT + 1)), (0, 0, 0, LIMIT)),
    "BAUD": (request(BAUD, (2_000_001).to_bytes(4, "little")), (BAUD, 7, 2_000_001, 0)),
    "REPEAT": (request(REPEAT, bytes([0, 1, 0, 0]) + PIXELS), (REPEAT, 7, 0, 0xFFFF)),
    "LAYER": (request(LAYERS, bytes([0, 1, 2, 0, 0, 0, 0, 0]) + PIXELS), (LAYERS, 7, 2, 2)),
}


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("answer") / "answer"
    sources = [Path(__file__).with_name("answer.c"), *LIBRARY, FAKE_IMAGE]
    words = ["gcc", "-std=c11", *STRICT, "-O1", "-DHIL_LAYERS", "-DHIL_REPEAT=1", *INCLUDES]
    run([*words, *map(str, sources), "-lm", "-o", str(place)])
    return place


@pytest.mark.parametrize("name", CASES)
def test_the_firmware_gives_the_error(name: str, device: Path) -> None:
    sent, right = CASES[name]
    done = subprocess.run([str(device)], input=sent, capture_output=True, check=True, timeout=100)
    (frame,) = Decoder().feed(done.stdout)
    assert isinstance(frame, Frame)
    found = parse_reply(frame)
    assert isinstance(found, Refusal)
    assert found.code == ErrorCode[name]
    assert (found.request, frame.seq, found.needed, found.available) == right


def test_documentation_firmware_and_host_list_the_same_errors() -> None:
    text = (PROJECT / "docs" / "protocol.md").read_text().partition("## Errors")[2]
    table = text.partition("\n\n## ")[0]
    listed = {
        name: int(code) for code, name in re.findall(r"^\| (\d+) \| (\w+) \|", table, re.MULTILINE)
    }
    header = (SOURCES / "hil_wire" / "hil_messages.h").read_text()
    defined = {name: int(code) for name, code in re.findall(r"HIL_ERR_(\w+) = (\d+)", header)}
    assert listed == defined == {one.name: one.value for one in ErrorCode}
    assert set(listed) == {*CASES, "STEP"}  # firmware/test/test_more has a model with state
