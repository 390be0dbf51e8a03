# SPDX-License-Identifier: Apache-2.0
"""The host streams a sequence to the firmware's own session in C, over lines with every fault."""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from pathlib import Path

import pytest

from hil.core.errors import StateLost
from hil.core.records import DType, Encoding
from hil.device import Device, Timing
from hil.link.chaos import Chaos, ChaosLink
from hil.testing.board import InstantLink
from tests.support.firmware import FAKE_IMAGE, INCLUDES, LIBRARY, run

pytestmark = [pytest.mark.firmware, pytest.mark.usefixtures("needs_gcc")]

PAIR, COUNTER = 1, 2  # models of firmware/test/fake_more.h
STEPS = [bytes([i % 90 + 1]) for i in range(400)]
SUMS = [struct.pack("<i", sum(one[0] for one in STEPS[: i + 1])) for i in range(len(STEPS))]


ROOM = 1 << 16  # bytes of replies per write


class Board:
    """The session with models that have several tensors, and state."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._replies = ctypes.create_string_buffer(ROOM)
        self.restart()

    def restart(self) -> None:
        self._library.session_boot_more()

    def answer(self, data: bytes) -> bytes:
        got = self._library.session_feed(data, len(data), self._replies, ROOM)
        return self._replies.raw[:got]


@dataclass
class Line(InstantLink):
    """A line to it that takes no time, and can restart it."""

    board: Board

    def reset(self) -> None:
        self.board.restart()


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("session") / "session.so"
    sources = [Path(__file__).parent / "session_library.c", *LIBRARY, FAKE_IMAGE]
    flags = ["-std=c11", "-O2", "-shared", "-fPIC", *INCLUDES]
    run(["gcc", *flags, *map(str, sources), "-lm", "-o", str(made)])
    return made


def device_of(library: Path, chaos: Chaos | None = None) -> Device:
    line = Line(Board(library))
    link = ChaosLink(line, chaos, reset=line.reset) if chaos else line
    return Device(link, Timing(boot=3, reply=2, clock=line.clock), number=1)


def test_several_tensors_arrive_and_return(library: Path) -> None:
    device = device_of(library)
    pair = device.hello().models[PAIR]
    assert [one.dtype for one in pair.inputs] == [DType.INT8, DType.INT16]
    assert [one.dtype for one in pair.outputs] == [DType.INT8, DType.INT16, DType.BOOL]
    values = struct.pack("<3bx2h", 1, -2, 3, 300, 300)
    for pack in (False, True):
        (answer,) = device.infer(PAIR, Encoding.OWN, [values], pack=pack)
        assert answer.result.output == struct.pack("<3bxh2xb", 3, -2, 1, 600, 1)


@pytest.mark.parametrize("seed", range(10))
def test_every_step_is_right_whatever_the_line_does(library: Path, seed: int) -> None:
    """If the state was lost, the sequence starts again, as `hil.bench.session` does it."""
    chaos = Chaos(
        seed=seed,
        flip=1e-4,
        drop=5e-4,
        duplicate=5e-4,
        reorder=5e-4,
        inject=1e-2,
        replay=5e-2,
        reset=5e-4,
    )
    device = device_of(library, chaos)
    found: list[bytes] = []
    position, restarts = 0, -1
    while len(found) < len(STEPS):
        try:
            if not position:
                restarts += 1
                device.reset_state(COUNTER)
            for one in device.infer(
                COUNTER, Encoding.INT8, STEPS[position:], first=position, sequence=True
            ):
                position = one.index + 1
                assert one.result.output == SUMS[one.index]
                found[one.index :] = [one.result.output]
        except StateLost:
            assert restarts < 200
            position = 0
    assert found == SUMS
    assert device.retries > 0
