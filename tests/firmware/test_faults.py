# SPDX-License-Identifier: Apache-2.0
"""The firmware behind a pty that damages bytes: all of its answers arrive, unchanged."""

from __future__ import annotations

import pytest

from hil import datasets
from hil.boards.config import load_board
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.errors import LineHopeless
from hil.core.records import Encoding
from hil.device import Device, Timing
from hil.firmware import build
from hil.link.chaos import Chaos, ChaosLink
from tests.support.firmware import MODELS, PROJECT
from tests.support.needs import needs

pytestmark = pytest.mark.firmware
STUDENT = MODELS / "student_int8.tflite"


def test_the_firmware_over_a_disturbed_pty() -> None:
    board = load_board("native")
    needs(missing_tools(board))
    firmware = build(board.pio_env, [("student", STUDENT)], "aot", PROJECT)
    digits = [digit.tobytes() for digit in datasets.load("digits").x[:400]]
    found: list[list[bytes]] = []
    lines = [
        Chaos(1),
        Chaos(1, flip=1e-4, drop=1e-5, reorder=1e-5),
        Chaos(2, flip=1e-3, replay=0.1, inject=0.01),
    ]
    with open_board(board, firmware.elf) as direct:
        for chaos in lines:
            device = Device(ChaosLink(direct, chaos))
            said = device.hello()
            answers = device.infer(
                0, Encoding.PIXELS, digits, window=said.window, room=said.room, pack=said.unpacks
            )
            found.append([answer.result.output for answer in answers])
            assert (device.retries > 0) == (chaos.flip > 0)
        hopeless = Device(ChaosLink(direct, Chaos(3, flip=1e-2)), Timing(boot=4))
        with pytest.raises(LineHopeless):
            hopeless.hello()
        assert Device(direct).status().frames_bad > 0  # it is alive and counted them
    assert len(set(found[0])) > 100
    assert found[0] == found[1] == found[2]
