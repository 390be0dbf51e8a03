# SPDX-License-Identifier: Apache-2.0
"""The whole firmware on every emulated board: what unit tests cannot show."""

from __future__ import annotations

import os
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from hil.boards.config import Board, load_board
from hil.boards.session import open_board
from hil.boards.station import missing_tools
from hil.core.records import Encoding
from hil.device import Device
from hil.firmware import BuiltFirmware, build, sizes
from hil.firmware.toolchain import compilers
from hil.link import Deadline
from tests.support.firmware import MODELS, PROJECT
from tests.support.needs import needs

pytestmark = pytest.mark.firmware
COUNTING = ["mps2", "rv32", "lx106"]  # boards whose clock counts instructions
OPTIONAL = {name for name in compilers() if load_board(name).optional}
DIGITS = np.random.default_rng(7).integers(0, 256, (24, 784), dtype=np.uint8)


def built(name: str, precision: str) -> tuple[Board, BuiltFirmware]:
    board = load_board(name)
    needs(missing_tools(board))
    names = board.models or ("teacher", "student")
    models = [(name, MODELS / f"{name}_{precision}.tflite") for name in names]
    return board, build(board.pio_env, models, "aot", PROJECT)


def answers(board: Board, elf: Path, encoding: Encoding, window: int) -> list[tuple[bytes, int]]:
    """Output and ticks of the student for every digit, from a freshly started board."""
    values = {
        Encoding.PIXELS: DIGITS,
        Encoding.INT8: (DIGITS.astype(np.int16) - 128).astype(np.int8),
        Encoding.FLOAT32: DIGITS.astype(np.float32) / np.float32(255),
    }[encoding]
    with open_board(board, elf) as link:
        device = Device(link)
        student = len(device.hello().models) - 1
        got = device.infer(student, encoding, (v.tobytes() for v in values), window=window)
        return [(answer.result.output, _counted(answer.result.ticks)) for answer in got]


def _counted(ticks: int | None) -> int:
    assert ticks is not None, "the counter wrapped"
    return ticks


@pytest.mark.parametrize("name", ["mps2", "native"])
def test_a_packed_digit_is_the_same_digit(name: str) -> None:
    """And takes as many instructions: unpacking is not timed."""
    board, firmware = built(name, "int8")
    pixels = [np.where(digit > 128, digit, 0).astype(np.uint8).tobytes() for digit in DIGITS[:6]]
    pixels += [bytes(784), b"\xff" * 784]
    found = []
    for packs in (False, True):
        with open_board(board, firmware.elf) as link:
            device = Device(link)
            hello = device.hello()
            assert (hello.unpacks, hello.room) == (True, None)
            got = device.infer(
                1, Encoding.PIXELS, pixels, window=hello.window, room=hello.room, pack=packs
            )
            found.append([(answer.result.output, answer.result.ticks) for answer in got])
            assert device.retries == 0
            sent = device.bytes_out
        assert (sent < len(pixels) * 784) == packs
    assert found[0] == found[1]


@pytest.mark.parametrize("name", [*COUNTING, "native"])
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_hello_and_status_are_right(name: str, precision: str) -> None:
    board, firmware = built(name, precision)
    with open_board(board, firmware.elf) as link:
        device = Device(link)
        hello = device.hello()
        status = device.status()
    assert [model.name for model in hello.models] == ["teacher", "student"]
    assert hello.max_payload == 4 + 4 * 784
    assert not hello.has_micros
    if name in COUNTING:
        assert status.ram_static == sizes(firmware.elf).ram
        assert 0 < status.stack_used < status.stack_size == 65536
        assert hello.toolchain.split()[1] in firmware.toolchain
        # receive buffer, the bytes of a load, arena, and little else
        arena = max(model.arena for model in hello.models)
        assert status.ram_static < arena + hello.max_payload + 784 + 1024


@pytest.mark.parametrize("name", COUNTING)
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_instructions_and_answers_are_the_same_every_time(name: str, precision: str) -> None:
    board, firmware = built(name, precision)
    assert (board.clock.numerator, board.clock.denominator) == (1, 1)  # the port converts
    encodings = [Encoding.PIXELS, Encoding.FLOAT32]
    encodings += [Encoding.INT8] if precision == "int8" else []
    runs = [answers(board, firmware.elf, e, w) for e in encodings for w in (1, 4)]
    counts = []
    for run in runs:
        assert [output for output, _ in run] == [output for output, _ in runs[0]]
        counts.append([ticks for _, ticks in run])
    assert all(count == counts[0] for count in counts)
    assert min(counts[0]) > 10_000


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        *product(COUNTING, ["int8", "float32"]),
        # `pytest -m hil` compares their int8 outputs
        *product(
            sorted(set(compilers()) - {*COUNTING, *OPTIONAL, "native", "mega2560"}), ["float32"]
        ),
    ],
)
def test_the_host_process_answers_as_the_board_does(name: str, precision: str) -> None:
    board, firmware = built(name, precision)
    host, process = built("native", precision)
    emulated = answers(board, firmware.elf, Encoding.PIXELS, 4)
    native = answers(host, process.elf, Encoding.PIXELS, 4)
    assert [output for output, _ in native] == [output for output, _ in emulated]
    assert {ticks for _, ticks in native} == {0}
    assert host.clock.unit == "none"


@pytest.mark.parametrize("name", [*COUNTING, "native"])
def test_the_board_survives_noise_on_the_line(name: str) -> None:
    board, firmware = built(name, "int8")
    noise = np.random.default_rng(1).integers(0, 256, 20_000, dtype=np.uint8).tobytes()
    with open_board(board, firmware.elf) as link:
        for start in range(0, len(noise), 500):
            link.write(noise[start : start + 500])
            while link.read(Deadline.after(0.01)):
                pass
        device = Device(link)
        assert device.hello().models
        assert device.status().frames_bad > 0


@pytest.mark.parametrize("name", [*COUNTING, "native"])
def test_a_new_host_gets_answers_after_one_that_left_in_the_middle_of_a_frame(name: str) -> None:
    board, firmware = built(name, "int8")
    with open_board(board, firmware.elf) as link:
        descriptor = os.open(link.name, os.O_RDWR | os.O_NOCTTY)
        os.write(descriptor, b"\x11" * 300)
        os.close(descriptor)
        assert len(Device(link).hello().models) == 2
